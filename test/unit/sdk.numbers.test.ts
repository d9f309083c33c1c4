// Numbers that users give to the TypeScript client: one that means nothing is refused by the name of its option, before
// anything is sent. The client here has no server: a call that got past the check would wait for one.
import { afterAll, expect, test } from 'vitest';
import { createClient, GiveBack } from '../../src/client/client.ts';
import { optionOfField } from '../../src/client/option-names.ts';
import { TestClock } from '../../src/testing/test-clock.ts';

const client = createClient({ addresses: '127.0.0.1:1' });
afterAll(() => client.close());

/** What a user of JavaScript, or of a JSON configuration, may give where a number is wanted. */
const NO_NUMBERS = [Number.NaN, -1, '5s', '5', null, {}, true, 5n] as unknown as readonly number[];
const NO_SPANS = [...NO_NUMBERS, Number.POSITIVE_INFINITY, 1e300];
const NO_COUNTS = [...NO_SPANS, 1.5, 2 ** 31];
const NO_BIGINTS = [5, '5', Number.NaN, null, -1n, 2n ** 64n] as unknown as readonly bigint[];
const NO_DATES = [new Date(Number.NaN), 5, '2026-01-01'] as unknown as readonly Date[];

const { locks, operations } = client;
const lease = { resource: 'r', leaseId: '00000000-0000-4000-8000-000000000001', fencingToken: 1n };
const worker = (options: object) => () => operations.worker({ types: 't', handler: () => {}, ...options });

const WAITS: readonly (readonly [option: string, call: (ms: number) => unknown])[] = [
  ['waitMs', (waitMs) => client.acquire('r', { waitMs })],
  ['waitMs', (waitMs) => client.withLock('r', () => {}, { waitMs })],
  ['waitMs', (waitMs) => client.acquireMany(['r'], { waitMs })],
  ['waitMs', (waitMs) => client.elect('r').campaign({ waitMs })],
  ['waitMs', (waitMs) => locks.acquireUnkept('r', { waitMs })],
  ['waitMs', (waitMs) => operations.run('r', '1', () => {}, { waitMs })],
  ['waitMs', (waitMs) => operations.wait('r', '1', { waitMs })],
  ['timeoutMs', (timeoutMs) => client.acquire('r', { timeoutMs })],
  ['timeoutMs', (timeoutMs) => client.acquireMany(['r'], { timeoutMs })],
  ['timeoutMs', (timeoutMs) => locks.acquireUnkept('r', { timeoutMs })],
  ['timeoutMs', (timeoutMs) => client.serverInfo({ timeoutMs })],
  ['timeoutMs', (timeoutMs) => locks.get('r', { timeoutMs })],
  ['timeoutMs', (timeoutMs) => locks.contended({ timeoutMs })],
  ['timeoutMs', (timeoutMs) => locks.suspectedDeadlocks({ timeoutMs })],
  ['timeoutMs', (timeoutMs) => locks.list({ timeoutMs }).next()],
  ['timeoutMs', (timeoutMs) => locks.watch({ timeoutMs }).next()],
  ['timeoutMs', (timeoutMs) => operations.watch({ timeoutMs }).next()],
  ['timeoutMs', (timeoutMs) => operations.begin('r', '1', { timeoutMs })],
  ['graceMs', (graceMs) => worker({ graceMs })()],
];

const SPANS: readonly (readonly [option: string, call: (ms: number) => unknown])[] = [
  ['ttlMs', (ttlMs) => client.acquire('r', { ttlMs })],
  ['ttlMs', (ttlMs) => client.tryAcquire('r', { ttlMs })],
  ['minHoldMs', (minHoldMs) => client.acquireMany([{ resource: 'r', minHoldMs }])],
  ['maxHoldMs', (maxHoldMs) => client.elect('r', { maxHoldMs }).campaign()],
  ['ttlMs', (ttlMs) => locks.renew(lease, { ttlMs })],
  ['heartbeatTimeoutMs', (heartbeatTimeoutMs) => operations.begin('r', '1', { heartbeatTimeoutMs })],
  ['timeToLiveMs', (timeToLiveMs) => operations.begin('r', '1', { timeToLiveMs })],
  ['retentionMs.dead', (dead) => operations.begin('r', '1', { retentionMs: { dead } })],
  ['delayMs', (delayMs) => new GiveBack({ delayMs })],
];

const COUNTS: readonly (readonly [option: string, call: (count: number) => unknown])[] = [
  [
    'streamsPerConnection',
    (streamsPerConnection) => createClient({ addresses: '127.0.0.1:1', streamsPerConnection }),
  ],
  ['mode.permits', (permits) => client.acquire('r', { mode: { permits, limit: 5 } })],
  ['mode.limit', (limit) => client.acquire('r', { mode: { permits: 1, limit } })],
  ['durability.replicated', (replicated) => client.acquire('r', { durability: { replicated } })],
  ['pageSize', (pageSize) => locks.list({ pageSize }).next()],
  ['limit', (limit) => locks.contended({ limit })],
  ['pageSize', (pageSize) => operations.list({ pageSize }).next()],
  ['maxAttempts', (maxAttempts) => operations.begin('r', '1', { maxAttempts })],
  ['concurrency', (concurrency) => worker({ concurrency })()],
];

const BIGINTS: readonly (readonly [option: string, call: (value: bigint) => unknown])[] = [
  ['fencingToken', (fencingToken) => locks.checkFencingToken('r', fencingToken)],
  ['fencingToken', (fencingToken) => locks.forceRelease('r', { fencingToken })],
  ['fencingToken', (fencingToken) => locks.renew({ ...lease, fencingToken })],
  ['version', (version) => operations.retry('r', '1', { version })],
];

const DATES: readonly (readonly [option: string, call: (date: Date) => unknown])[] = [
  ['createdFrom', (createdFrom) => operations.list({ createdFrom }).next()],
  ['updatedBefore', (updatedBefore) => operations.watch({ updatedBefore }).next()],
];

async function expectRefused(option: string, call: () => unknown, shown: string): Promise<void> {
  let error: unknown;
  try {
    await call();
  } catch (thrown) {
    error = thrown;
  }
  expect(error, shown).toMatchObject({ name: 'InvalidArgumentError', violations: [{ option }] });
  const { message } = error as Error; // by the check before
  expect(message).toMatch(/^\S+: must be .*, but it is .*\. Leave it out to get the default\.$/);
  expect(message.startsWith(`${option}: `), message).toBe(true);
}

test.each(WAITS)(
  'A wait that is no number is refused by the name of its option: %s, case %#',
  async (option, call) => {
    for (const ms of NO_NUMBERS) await expectRefused(option, () => call(ms), String(ms));
  },
);

test.each(SPANS)(
  'A time span that is no number is refused by the name of its option: %s, case %#',
  async (option, call) => {
    for (const ms of NO_SPANS) await expectRefused(option, () => call(ms), String(ms));
  },
);

test.each(COUNTS)(
  'A count that is no number is refused by the name of its option: %s, case %#',
  async (option, call) => {
    for (const count of NO_COUNTS) await expectRefused(option, () => call(count), String(count));
  },
);

test.each(BIGINTS)(
  'A token or version that is no bigint is refused by the name of its option: %s, case %#',
  async (option, call) => {
    for (const value of NO_BIGINTS) await expectRefused(option, () => call(value), String(value));
  },
);

test.each(DATES)(
  'A date that is none is refused by the name of its option: %s, case %#',
  async (option, call) => {
    for (const date of NO_DATES) await expectRefused(option, () => call(date), String(date));
  },
);

test('One retentionMs for all ends is refused by its own name', async () => {
  await expectRefused('retentionMs', () => operations.begin('r', '1', { retentionMs: Number.NaN }), 'NaN');
});

test('A wait of Infinity, and a number that is larger than any wait, are taken', async () => {
  for (const waitMs of [Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE]) {
    const signal = AbortSignal.timeout(50);
    const error: unknown = await client.acquire('r', { waitMs, signal }).catch((thrown: unknown) => thrown);
    expect(error).toBe(signal.reason);
  }
});

test('The clock of a test server takes no NaN', async () => {
  const clock = new TestClock();
  await expect(clock.advance(Number.NaN)).rejects.toThrow('but it got NaN');
  expect(clock.monotonicMs()).toBeGreaterThan(0);
});

test.each([
  ['spec.ttl', 'ttlMs'],
  ['spec.resource', 'resource'],
  ['spec.lease_id', 'leaseId'],
  ['spec.min_hold', 'minHoldMs'],
  ['spec.permits.limit', 'mode.limit'],
  ['spec.metadata.my.ttl', 'metadata.my.ttl'],
  ['spec.durability.replicated.min_acks', 'durability.replicated'],
  ['specs[2].owner', 'resources[2].owner'],
  ['specs[2].resource', 'resources[2]'],
  ['specs', 'resources'],
  ['wait_timeout', 'waitMs'],
  ['lock.max_hold', 'lock.maxHoldMs'],
  ['filter.labels.job_id', 'labels.job_id'],
  ['filter.resource_prefix', 'prefix'],
  ['filter.states[0]', 'states[0]'],
  ['retention.dead', 'retentionMs.dead'],
  ['time_to_live', 'timeToLiveMs'],
  ['operation_id', 'operationId'],
  ['set_labels.a_b', 'setLabels.a_b'],
])('The field %s of the contract is told as the option %s', (field, option) => {
  expect(optionOfField(field)).toBe(option);
});
