// What the lock services tell their observers: each acquisition once, with the word for its end, and each end of a
// lease by one call alone. With a store that answers what the test says; what real ones answer is in the conformance
// suites, and the sums over instances in metrics.locks.test.ts.

import { beforeEach, expect, test } from 'vitest';
import { CoordinationError, type ErrorCode } from '../../src/domain/errors.ts';
import type { AcquireOutcome, ReleaseOutcome } from '../../src/domain/lock.ts';
import { Acquisitions } from '../../src/service/acquisitions.ts';
import { type CallContext, CallStamps } from '../../src/service/call.ts';
import { type AcquireEnd, type LockObserver, observers } from '../../src/service/lock-observer.ts';
import { LockService } from '../../src/service/lock-service.ts';
import { WaitRoom } from '../../src/service/wait-room.ts';
import type { LockStore } from '../../src/store/lock-store.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leaseSpec } from '../support/store-harness.ts';

let clock: ManualClock;
let acquire: () => AcquireOutcome;
let released: ReleaseOutcome;
let told: string[];
let locks: LockService;

const contended: AcquireOutcome = {
  kind: 'contended',
  contention: { resource: 'r', reason: 'held', holders: [], timeLeftMs: 1, queueLength: 0 },
};
const granted = (): AcquireOutcome => {
  const deadlineMs = clock.monotonicMs() + 10_000;
  const lease = { resource: 'r', leaseId: 'l', fencingToken: 1n, deadlineMs, expiresAtWallMs: 0 };
  return { kind: 'granted', lease, isRepeat: false };
};
const context = (): CallContext => ({
  arrivedAtMs: clock.monotonicMs(),
  deadlineMs: Number.POSITIVE_INFINITY,
  ended: new AbortController().signal,
  caller: { name: '', role: 'client' },
  peer: '',
});

beforeEach(() => {
  clock = new ManualClock();
  told = [];
  const observer: LockObserver = {
    waits(resource, owner) {
      told.push(`${owner} waits for ${resource}`);
      return () => told.push(`${owner} waits no more`);
    },
    acquired: ({ end, queued, tookMs }) =>
      told.push(`${end} after ${tookMs}${queued ? ' in the queue' : ''}`),
    holdEnded: ({ end, heldMs }) => told.push(`${end} after ${heldMs}`),
  };
  const store: Partial<LockStore> = {
    acquire: async () => acquire(),
    release: async () => released,
    leave: async () => true,
    refresh: async () => [],
    onNotice: () => () => {},
  };
  const common = { store: store as LockStore, clock, commandTimeoutMs: 1_000 }; // they call nothing else
  const waitRoom = new WaitRoom({ ...common, random: () => 0.5, instanceId: 'i1' });
  // Both of two hear everything.
  const both = observers(observer, { waits: () => () => {}, acquired: () => {}, holdEnded: () => {} });
  const acquisitions = new Acquisitions({ ...common, waitRoom, observer: both });
  locks = new LockService({
    ...common,
    waitRoom,
    acquisitions,
    observer: both,
    stamps: new CallStamps('i1'),
    onMutation: undefined,
  });
});

const OUTCOMES: readonly (readonly [AcquireEnd, AcquireOutcome])[] = [
  ['contended', contended],
  ['quarantine', { kind: 'quarantined', retryAfterMs: 1 }],
  ['queue-full', { kind: 'full' }],
  ['moved', { kind: 'moved' }],
  ['revoked', { kind: 'revoked' }],
  ['refused', { kind: 'reused' }],
];

test.each(OUTCOMES)('an acquisition ends as %s', async (end, outcome) => {
  acquire = () => outcome;
  await expect(locks.acquire(leaseSpec(), 0, context())).rejects.toThrow();
  expect(told).toEqual([`${end} after 0`]);
});

const CODES: readonly (readonly [ErrorCode, AcquireEnd])[] = [
  ['REDIS_UNAVAILABLE', 'unavailable'],
  ['PRIMARY_UNCONFIRMED', 'unavailable'],
  ['OUTCOME_UNKNOWN', 'unavailable'],
  ['DURABILITY_UNMET', 'unavailable'],
  ['DEPLOYMENT_MISMATCH', 'unavailable'],
  ['STORE_FULL', 'unavailable'],
  ['OVERLOADED', 'unavailable'],
  ['DEADLINE_EXCEEDED', 'unavailable'],
  ['INTERNAL', 'refused'],
];

test.each(CODES)('an acquisition that the store answers with %s ends as %s', async (code, end) => {
  acquire = () => {
    clock.advance(30);
    throw new CoordinationError(code, 'a test');
  };
  await expect(locks.acquire(leaseSpec(), 0, context())).rejects.toMatchObject({ code });
  expect(told).toEqual([`${end} after 30`]);
});

test('an acquisition waits from the moment at which the store queued it until its end', async () => {
  const answers: AcquireOutcome[] = [{ kind: 'queued', position: 2, blockedForMs: 5_000 }, contended];
  acquire = () => answers.shift() ?? contended;
  const call = locks.acquire(leaseSpec({ owner: 'me', resource: 'r' }), 2_000, context());
  const refused = expect(call).rejects.toMatchObject({ code: 'LOCK_CONTENDED' });
  await clock.pass(500);
  expect(told).toEqual(['me waits for r']);
  await clock.pass(1_600);
  await refused;
  expect(told).toEqual(['me waits for r', 'me waits no more', 'contended after 2000 in the queue']);
});

test('an acquisition that may wait and is granted at once has not waited', async () => {
  acquire = granted;
  await locks.acquire(leaseSpec(), 2_000, context());
  expect(told).toEqual(['granted after 0']);
});

test('what a draining instance refuses ends as draining, each resource for itself', async () => {
  locks.drain();
  await expect(locks.acquire(leaseSpec(), 0, context())).rejects.toMatchObject({ code: 'DRAINING' });
  const specs = ['a', 'b'].map((resource) => leaseSpec({ resource }));
  await expect(locks.acquireMany(specs, 0, context())).rejects.toMatchObject({ code: 'DRAINING' });
  expect(told).toEqual(Array(3).fill('draining after 0'));
});

test.each<readonly [ReleaseOutcome, readonly string[]]>([
  [{ kind: 'released', heldMs: 7, wasOver: false }, ['released after 7']],
  [{ kind: 'released', heldMs: 7, wasOver: true }, []], // its end was counted before
  [{ kind: 'lapsed', heldMs: 7 }, ['expired after 7']],
  [{ kind: 'dequeued' }, []],
  [{ kind: 'absent' }, []],
])('a release that the store answers with %o tells %o', async (outcome, ends) => {
  released = outcome;
  const isReleased = await locks.release({ resource: 'r', leaseId: 'l' }, context());
  expect([isReleased, told]).toEqual([outcome.kind === 'released', ends]);
});
