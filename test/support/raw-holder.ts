// A client that has nothing but generated stubs: it opens a Hold for each resource, and says so when both are granted.
// The test freezes it.
//
//   node test/support/raw-holder.ts <host:port> <ttl ms> (<resource> <renew_for ms, or 0>)…

import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import { type HoldResponse, LockServiceClient } from '../../generated/leasehold/v1/lock_service.ts';

const [address = '', ttl = '', ...wanted] = process.argv.slice(2);
const span = (ms: number) => ({ seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1e6 });
const stub = new LockServiceClient(address, credentials.createInsecure());

for (let i = 0; i < wanted.length; i += 2) {
  const renewForMs = Number(wanted[i + 1]);
  const call = stub.hold({
    spec: LeaseSpec.fromPartial({ resource: wanted[i] ?? '', leaseId: randomUUID(), ttl: span(Number(ttl)) }),
    wait: undefined,
    renewFor: renewForMs === 0 ? undefined : span(renewForMs),
  });
  call.on('data', ({ resource, event }: HoldResponse) => {
    if (event?.$case !== 'renewed') process.stdout.write(`${event?.$case} ${resource}\n`);
  });
  call.on('error', (error) => process.stdout.write(`${error.message}\n`));
}
