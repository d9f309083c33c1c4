// Rules of the operation store that only show at the channel: what the two services make of each other's leases, how
// pages are cut, what counts as the same operation, and what is forbidden for a while after a failover.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import { OperationState } from '../../generated/leasehold/v1/operation.ts';
import { AttemptLostReason } from '../../generated/leasehold/v1/operation_store_service.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { MemoryStore } from '../../src/store/memory/memory-store.ts';
import { eventually } from '../support/eventually.ts';
import { OperationClient, payload } from '../support/operation-client.ts';
import { type Rig, STORE_KINDS, startRig } from '../support/store-kinds.ts';
import { duration } from '../support/test-instance.ts';

const fresh = (what: string): string => `${what}-${randomUUID()}`;

async function refusal(call: Promise<unknown>): Promise<CallError> {
  const error = await call.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (error instanceof CallError) return error;
  throw new Error(`not refused: ${String(error)}`);
}

describe.each(STORE_KINDS)('rules, %s store', (kind) => {
  let rig: Rig;
  let client: OperationClient;

  beforeAll(async () => {
    rig = await startRig(kind, { LEASEHOLD_AUTH_ANONYMOUS_ADMIN: 'true' });
    client = new OperationClient(rig.instance.address);
    // The server hears notices from here on.
    const channels = () => rig.redis?.withClient((own) => own.pubsub('CHANNELS', '*instance:*'));
    await eventually(async () => (await channels())?.length !== 0, { what: 'a listener', withinMs: 10_000 });
  });
  afterAll(async () => {
    client?.close();
    await rig?.stop();
  });

  const lock = LeaseSpec.fromPartial({ ttl: duration(20_000) });

  test.each([
    [
      'revoked by an administrator',
      (resource: string) => rig.client.forceRelease({ resource, reason: 'test' }),
    ],
    [
      'revoked at once',
      (resource: string) => rig.client.forceRelease({ resource, reason: 'test', immediate: true }),
    ],
    ['released by its id', (resource: string, leaseId: string) => rig.client.release({ resource, leaseId })],
  ])('a worker whose lease is %s is told at once', async (_, end) => {
    const attempt = await client.started({ resource: fresh('r'), operationId: 'o', lock });
    const stream = client.keepAlive(attempt);
    await stream.event('renewed');
    const endedMs = performance.now();
    await end(attempt.resource, attempt.claimId);
    const { reason } = await stream.event('lost');
    expect(performance.now() - endedMs).toBeLessThan(3_000); // and not only at its next heartbeat, some 5 s later
    expect(reason).toBe(AttemptLostReason.ATTEMPT_LOST_REASON_LEASE_LOST);
    expect(await stream.ended()).toBe('9 STALE_ATTEMPT');
    const writes = [client.update(attempt), client.complete(attempt), client.yield(attempt)];
    for (const { reason: why } of await Promise.all(writes.map(refusal))) expect(why).toBe('STALE_ATTEMPT');
  });

  test('an operation is the same if its type, data and labels are, whatever else the request says', async () => {
    const key = { resource: fresh('r'), operationId: 'o' };
    const labels = new Map([
      ['a', '1'],
      ['b', '2'],
    ]);
    const content = { ...key, type: 'job', data: payload('data'), labels };
    const first = await client.begin(content);
    const others: Parameters<OperationClient['begin']>[0][] = [
      { labels: new Map([...labels].reverse()) },
      { owner: 'somebody' },
      { heartbeatTimeout: duration(2_000) },
      { timeToLive: duration(60_000) },
      { maxAttempts: 9 },
      { exclusive: true },
      { lock },
      { retention: { failed: duration(1_000) } },
      { requestId: randomUUID() },
    ];
    for (const other of others) {
      const { operation, created } = await client.begin({ ...content, ...other });
      expect([created, operation]).toEqual([false, first.operation]);
    }
    const another = [
      { type: 'job2' },
      { data: payload('dat') },
      { data: { ...payload('data'), typeUrl: 'example.com/Other' } },
      { labels: new Map([['a', '12']]) },
      { labels: new Map() },
    ];
    for (const other of another) {
      expect((await refusal(client.begin({ ...content, ...other }))).reason).toBe('OPERATION_EXISTS');
    }
    expect(await client.get(key)).toEqual(first.operation);
  });

  test('a page size of 0 is the default, and one above the maximum is the maximum', {
    timeout: 60_000,
  }, async () => {
    const resource = fresh('r');
    for (let from = 0; from < 510; from += 51) {
      const ids = Array.from({ length: 51 }, (_, index) => `o${from + index}`);
      await Promise.all(ids.map((operationId) => client.begin({ resource, operationId })));
    }
    const sizes = async (pageSize: number) => {
      const { operations, nextPageToken } = await client.list({ filter: { resource }, pageSize });
      return [operations.length, nextPageToken !== ''];
    };
    expect(await sizes(0)).toEqual([100, true]);
    expect(await sizes(1)).toEqual([1, true]);
    expect(await sizes(500)).toEqual([500, true]);
    expect(await sizes(2 ** 31 - 1)).toEqual([500, true]);
    expect((await refusal(client.list({ pageSize: -1 }))).reason).toBe('INVALID_ARGUMENT');
  });

  test('a page token of operations is accepted only for its own listing and filter, unchanged to the last bit', async () => {
    const resource = fresh('r');
    for (const operationId of ['1', '2', '3']) await client.begin({ resource, operationId });
    const filter = { resource, states: [OperationState.OPERATION_STATE_PENDING] };
    const { nextPageToken: token } = await client.list({ filter, pageSize: 1 });
    const bytes = Buffer.from(token, 'base64url');
    const changed = Array.from(bytes, (_, index) => {
      const other = Buffer.from(bytes);
      other.writeUInt8(other.readUInt8(index) ^ 1, index);
      return { filter, pageToken: other.toString('base64url') };
    });
    const wrong = [
      ...changed,
      { filter, pageToken: `${token}=` },
      { filter: { resource }, pageToken: token },
      { filter: { ...filter, owner: 'x' }, pageToken: token },
      { filter: { ...filter, resource: `${resource}x` }, pageToken: token },
    ];
    for (const request of wrong) {
      expect(await refusal(client.list(request))).toMatchObject({
        code: 3,
        reason: 'INVALID_ARGUMENT',
        violations: [{ field: 'page_token' }],
      });
    }
    // The size may change from page to page, and the payloads make no difference to where a page goes on.
    const { operations } = await client.list({ filter, pageToken: token, pageSize: 9, withPayloads: true });
    expect(operations.map(({ operationId }) => operationId)).toEqual(['2', '3']);
  });

  test('a page of large records fits into what a client accepts', { timeout: 60_000 }, async () => {
    const resource = fresh('r');
    const large = payload('x'.repeat(32_000));
    for (let from = 0; from < 160; from += 20) {
      const ids = Array.from({ length: 20 }, (_, index) => `o${from + index}`);
      await Promise.all(ids.map((operationId) => client.begin({ resource, operationId, data: large })));
    }
    const found = new Set<string>();
    let pageToken = '';
    do {
      const page = await client.list({ filter: { resource }, pageSize: 500, pageToken, withPayloads: true });
      for (const { operationId, data } of page.operations) {
        expect(data?.value.length).toBe(32_000);
        found.add(operationId);
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(found.size).toBe(160);
  });
});

/** A new reign with its quarantine: a failover of the memory store, an empty restart of Redis. */
async function failOver(rig: Rig): Promise<void> {
  const { store } = rig.instance;
  if (store instanceof MemoryStore) store.beginReign();
  else await rig.redis?.restart({ empty: true });
  await eventually(() => store.status().usable && store.status().quarantineRemainingMs > 0, {
    what: 'a quarantine',
    withinMs: 10_000,
  });
}

test.each(STORE_KINDS)(
  'a call that a quarantine forbids waits, or its error names the time to wait: %s store',
  {
    timeout: 60_000,
  },
  async (kind) => {
    const rig = await startRig(kind, {
      LEASEHOLD_LOCKS_MAX_TTL: '4s',
      LEASEHOLD_LOCKS_DEFAULT_TTL: '2s',
    });
    const client = new OperationClient(rig.instance.address);
    try {
      await failOver(rig);
      const key = { resource: 'r', operationId: 'o' };
      // It may be recorded, but nobody works on it before the quarantine is over.
      await client.begin(key);
      const forbidden = [
        client.claim({}),
        client.claim({ waitTimeout: duration(500) }),
        client.begin({ ...key, claimId: randomUUID() }),
        client.begin({ ...key, operationId: 'x', exclusive: true }),
        client.begin({ ...key, operationId: 'y', lock: LeaseSpec.fromPartial({}) }),
      ];
      for (const error of await Promise.all(forbidden.map(refusal))) {
        expect([error.code, error.reason]).toEqual([14, 'QUARANTINE']);
        // A roll call may end it at any moment.
        expect(error.retryAfterMs).toBeGreaterThan(0);
        expect(error.retryAfterMs).toBeLessThanOrEqual(2_000);
      }
      expect((await client.list()).operations).toHaveLength(1);
      const remainingMs = rig.instance.store.status().quarantineRemainingMs;
      const askedMs = performance.now();
      const { claimed } = await client.claim({ waitTimeout: duration(20_000) }, { timeoutMs: 30_000 });
      expect(claimed).toMatchObject([{ operation: key, attempt: { number: 1 } }]);
      expect(performance.now() - askedMs).toBeGreaterThan(remainingMs - 1_500);
      expect(performance.now() - askedMs).toBeLessThan(remainingMs + 2_500);
    } finally {
      client.close();
      await rig.stop();
    }
  },
);
