// The floor that Leasehold is compared with: a bare grpc-js server whose Acquire and Release each run one script that
// reads and writes the same keys through ioredis. Its Hold writes a key from time to time, in scripts for many leases
// at once, and tells the stream. It has no checks, no reign, no confirmation and no metrics, so it shows what the parts
// cost by themselves. It promises nothing and is not a lock service.
import type { ServerWritableStream } from '@grpc/grpc-js';
import { Redis } from 'ioredis';
import {
  type AcquireRequest,
  AcquireResponse,
  type HoldRequest,
  type HoldResponse,
  LockServiceService,
  type ReleaseRequest,
} from '../generated/leasehold/v1/lock_service.ts';
import { serveBare, type Unary } from './bare-server.ts';
import { ACQUIRE, argumentsOf, FLOOR_KEYS, inBucket, RELEASE, RENEW, TTL_US } from './floor-scripts.ts';

/** Uses the same turns as Leasehold: each renews the leases that are due. */
const TURN_MS = 50;
const TURNS_PER_RENEWAL = 140;
const BATCH = 200;
const redis = new Redis({ port: Number(process.env.FLOOR_REDIS_PORT), protocol: 2, enableReadyCheck: false });
const [acquireSha, releaseSha, renewSha] = await Promise.all(
  [ACQUIRE, RELEASE, RENEW].map((source) => redis.script('LOAD', source)),
);

function run(sha: unknown, resource: string, ...args: readonly string[]): Promise<unknown> {
  return redis.call('EVALSHA', String(sha), ...argumentsOf(resource, ...args));
}

const acquire: Unary<AcquireRequest> = ({ request: { spec } }, callback) => {
  const { resource = '', leaseId = '', owner = '' } = spec ?? {};
  run(acquireSha, resource, leaseId, TTL_US, JSON.stringify([owner, []])).then((reply) => {
    const [, now, token] = reply as string[]; // what the script returns
    callback(null, AcquireResponse.fromPartial({ lease: leaseOf(resource, leaseId, now, token) }));
  }, callback);
};

function leaseOf(resource: string, leaseId: string, now: string | undefined, token: string | undefined) {
  const validFor = { seconds: 20n, nanos: 0 };
  const expireTime = { seconds: BigInt(Math.floor(Number(now) / 1e6)), nanos: 0 };
  const achievedDurability = { level: { $case: 'asynchronous' as const, value: {} } };
  const granted = { fencingToken: BigInt(token ?? 0), validFor, expireTime, achievedDurability };
  return { resource, leaseId, ...granted, permitsLimit: 0 };
}

const release: Unary<ReleaseRequest> = ({ request: { resource, leaseId } }, callback) => {
  run(releaseSha, resource, leaseId).then(() => callback(null, { released: true }), callback);
};

interface Held {
  readonly resource: string;
  readonly leaseId: string;
  readonly stream: ServerWritableStream<HoldRequest, HoldResponse>;
}

const turns = Array.from({ length: TURNS_PER_RENEWAL }, () => new Set<Held>());
let turn = 0;

function hold(stream: ServerWritableStream<HoldRequest, HoldResponse>): void {
  const { resource = '', leaseId = '', owner = '' } = stream.request.spec ?? {};
  const held: Held = { resource, leaseId, stream };
  const due = turns[(turn + TURNS_PER_RENEWAL - 1) % TURNS_PER_RENEWAL];
  stream.once('cancelled', () => due?.delete(held));
  void run(acquireSha, resource, leaseId, TTL_US, JSON.stringify([owner, []])).then((reply) => {
    const [, now, token] = reply as string[]; // what the script returns
    const value = leaseOf(resource, leaseId, now, token);
    stream.write({ resource, leaseId, event: { $case: 'granted', value } });
    due?.add(held);
  });
}

async function renew(batch: readonly Held[]): Promise<void> {
  const names = batch.flatMap(({ resource, leaseId }) => [resource, leaseId]);
  const reply = await redis.call(
    'EVALSHA',
    String(renewSha),
    2,
    FLOOR_KEYS.meta,
    inBucket('lock:'),
    ...names,
  );
  const words = reply as string[]; // what the script returns
  for (const [index, { resource, leaseId, stream }] of batch.entries()) {
    const value = leaseOf(resource, leaseId, words[1], words[3 * index + 3]);
    stream.write({ resource, leaseId, event: { $case: 'renewed', value } });
  }
}

setInterval(() => {
  const due = [...(turns[turn] ?? [])];
  turn = (turn + 1) % TURNS_PER_RENEWAL;
  for (let i = 0; i < due.length; i += BATCH) void renew(due.slice(i, i + BATCH));
}, TURN_MS);

serveBare(
  {
    acquire: LockServiceService.acquire,
    release: LockServiceService.release,
    hold: LockServiceService.hold,
  },
  { acquire, release, hold },
);
