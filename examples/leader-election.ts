// Many processes run this and one leads; when it dies or is cut off, the next one leads. Needs a running server
// (npm start). Run it twice at the same time and kill the leader.
//
//   npx node examples/leader-election.ts [host:port]
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { credentials } from '@grpc/grpc-js';
import type { Lease } from '../generated/leasehold/v1/lease.ts';
import { HoldRequest, type HoldResponse, LockServiceClient } from '../generated/leasehold/v1/lock_service.ts';

const [server = '127.0.0.1:50051'] = process.argv.slice(2);
const client = new LockServiceClient(server, credentials.createInsecure());
const me = `${hostname()}-${process.pid}`;
const MARGIN_MS = 1_000; // the larger of 200 ms and TTL / 20
let stopAtMs = 0; // on the monotonic clock

async function lead(term: bigint): Promise<void> {
  // The deadline rule: a leader that is cut off stops without being told.
  while (performance.now() < stopAtMs) {
    console.log(`${me} leads, term ${term}`); // send the term with every write: it is the fencing token
    await sleep(1_000);
  }
  console.log(`${me} no longer leads`);
  client.release(spec, () => {}); // this ends the stream
}

const spec = { resource: 'billing/leader', leaseId: randomUUID(), owner: me };
const sentMs = performance.now(); // valid_for of every event counts from here, however long the stream lives
// 0.1 % of it allows for clocks that drift apart: after some 5 hours on one stream it steps down and starts again.
const validUntil = ({ validFor }: Lease): number =>
  sentMs + (Number(validFor?.seconds ?? 0n) * 1_000 + (validFor?.nanos ?? 0) / 1e6) * 0.999 - MARGIN_MS;

// The stream waits and holds until it ends or the process does. If it ends, this process steps down at its deadline and
// exits; its supervisor starts it again, and it stands for election again.
const stream = client.hold(HoldRequest.fromPartial({ spec, wait: { $case: 'waitForever', value: true } }));
stream.on('data', ({ event }: HoldResponse) => {
  if (event?.$case === 'queued') console.log(`${me} follows, position ${event.value.position}`);
  if (event?.$case === 'granted' || event?.$case === 'renewed') stopAtMs = validUntil(event.value);
  if (event?.$case === 'lost') stopAtMs = 0;
  if (event?.$case === 'granted') void lead(event.value.fencingToken);
});
stream.on('error', ({ message }) => {
  console.log(`the stream has ended: ${message}`);
  client.close();
});
