// Each rpc of OperationStoreService over a real channel, on both stores: what it answers, and what it refuses.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import { OperationState } from '../../generated/leasehold/v1/operation.ts';
import { AttemptLostReason } from '../../generated/leasehold/v1/operation_store_service.ts';
import { validForMs } from '../support/lease-stream.ts';
import { held, type Key, OperationClient, payload } from '../support/operation-client.ts';
import { type Rig, STORE_KINDS, startRig } from '../support/store-kinds.ts';
import { duration } from '../support/test-instance.ts';

const {
  OPERATION_STATE_PENDING: PENDING,
  OPERATION_STATE_RUNNING: RUNNING,
  OPERATION_STATE_SUCCEEDED: SUCCEEDED,
  OPERATION_STATE_FAILED: FAILED,
  OPERATION_STATE_CANCELLED: CANCELLED,
} = OperationState;

const key = (): Key => ({ resource: `r-${randomUUID()}`, operationId: 'import 1/2' });
const type = (): string => `t-${randomUUID()}`;
const missing = { resource: 'nobody', operationId: 'nothing' };

describe.each(STORE_KINDS)('OperationStoreService, %s store', (kind) => {
  let rig: Rig;
  let client: OperationClient;

  beforeAll(async () => {
    rig = await startRig(kind);
    client = new OperationClient(rig.instance.address);
  });
  afterAll(async () => {
    client?.close();
    await rig?.stop();
  });

  const refused = (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => 'done',
      ({ code, reason }: { code: number; reason: string }) => `${code} ${reason}`,
    );

  test('BeginOperation records an operation as it was sent, with the defaults that GetServerInfo names', async () => {
    const { resource, operationId } = key();
    const labels = new Map([['region', 'eu']]);
    const fields = { resource, operationId, type: 'import/v1', labels, owner: 'me', data: payload('data') };
    const { operation, attempt, created } = await client.begin(fields);
    expect([attempt, created]).toEqual([undefined, true]);
    expect(operation).toMatchObject({
      ...fields,
      name: `resources/${resource}/operations/import%201%2F2`,
      state: PENDING,
      attemptNumber: 0,
      version: 1n,
      progress: undefined,
      outcome: undefined,
      heartbeatRemaining: undefined,
      lock: undefined,
    });
    const { limits } = (await rig.client.getServerInfo()).info ?? {};
    expect(operation).toMatchObject({
      maxAttempts: limits?.defaultMaxAttempts,
      heartbeatTimeout: limits?.defaultHeartbeatTimeout,
      retention: { succeeded: limits?.defaultRetention, dead: limits?.defaultRetention },
    });
    expect(limits).toMatchObject({ maxPayloadBytes: 32_768, maxClaimOperations: 32, maxMaxAttempts: 1_000 });
    expect(await client.get({ resource, operationId })).toEqual(operation);
  });

  test('BeginOperation answers with the same operation for the same content, and refuses other content', async () => {
    const fields = { ...key(), data: payload('a'), labels: new Map([['k', 'v']]) };
    await client.begin({ ...fields, requestId: '11111111-2222-4333-8444-555555555555' });
    const again = await client.begin({ ...fields, owner: 'else', timeToLive: duration(60_000) });
    expect([again.created, again.operation?.owner]).toEqual([false, '']);
    const others = [{ data: payload('b') }, { labels: new Map() }, { type: 'other' }, { data: undefined }];
    for (const other of others) {
      expect(await refused(client.begin({ ...fields, ...other }))).toBe('6 OPERATION_EXISTS');
    }
  });

  test('BeginOperation with a claim_id starts one attempt, which nobody else can claim', async () => {
    const fields = { ...key(), claimId: randomUUID(), owner: 'me' };
    const { operation, attempt } = await client.begin(fields);
    expect(operation).toMatchObject({ state: RUNNING, owner: 'me', attemptNumber: 1 });
    expect(attempt).toMatchObject({ number: 1, claimId: fields.claimId, lease: undefined });
    expect(attempt?.fencingToken).toBe(operation?.fencingToken);
    expect(validForMs(attempt ?? { validFor: undefined })).toBeGreaterThan(19_000);
    const again = await client.begin({ ...fields, claimId: fields.claimId.toUpperCase() });
    expect(again.attempt?.fencingToken).toBe(attempt?.fencingToken);
    const other = client.begin({ ...fields, claimId: randomUUID() });
    await expect(other).rejects.toMatchObject({ code: 10, reason: 'ATTEMPT_HELD' });
    await expect(other).rejects.toHaveProperty('retryAfterMs', expect.any(Number));
  });

  test('BeginOperation with `exclusive` is refused beside open operations, and refuses others while its own is open', async () => {
    const { resource } = key();
    const first = await client.started({ resource, operationId: '1', exclusive: true });
    expect(await refused(client.begin({ resource, operationId: '2' }))).toBe('10 OPERATION_OPEN');
    await client.complete(first);
    await client.begin({ resource, operationId: '2' });
    expect(await refused(client.begin({ resource, operationId: '3', exclusive: true }))).toBe(
      '10 OPERATION_OPEN',
    );
  });

  test('BeginOperation with `lock` makes the attempt the lease, which nobody else gets', async () => {
    const fields = { ...key(), claimId: randomUUID(), owner: 'me' };
    const lock = LeaseSpec.fromPartial({ ttl: duration(10_000) });
    const { operation, attempt } = await client.begin({ ...fields, lock });
    expect(attempt?.lease).toMatchObject({
      resource: fields.resource,
      leaseId: fields.claimId,
      fencingToken: attempt?.fencingToken,
    });
    expect(operation?.lock).toMatchObject({ resource: fields.resource, leaseId: '', ttl: duration(10_000) });
    expect(operation?.heartbeatTimeout).toEqual(duration(10_000));
    await expect(rig.client.acquire({ resource: fields.resource })).rejects.toMatchObject({
      reason: 'LOCK_CONTENDED',
    });
    const contended = client.begin({ ...fields, operationId: 'another', claimId: randomUUID(), lock });
    await expect(contended).rejects.toMatchObject({
      reason: 'LOCK_CONTENDED',
      contention: { holders: [{ owner: 'me' }] },
    });
    expect(await refused(client.get({ ...fields, operationId: 'another' }))).toBe('5 OPERATION_NOT_FOUND');
    await client.complete({ ...held({ operation, attempt }), releaseLease: true });
    expect((await rig.client.getLock(fields.resource)).lock?.holderCount).toBe(0);
  });

  test('BeginOperation with `require_lease` succeeds only while that lease is held', async () => {
    const { resource } = key();
    const { lease } = await rig.client.acquire({ resource });
    const requireLease = { resource, leaseId: lease?.leaseId ?? '', fencingToken: lease?.fencingToken ?? 0n };
    await client.begin({ resource, operationId: '1', requireLease });
    await rig.client.release(requireLease);
    const begin = client.begin({ resource, operationId: '2', requireLease });
    expect(await refused(begin)).toBe('9 LEASE_REQUIRED');
  });

  test('ClaimOperations gives the oldest operations first, each once and in a new attempt', async () => {
    const [mine, resource] = [type(), key().resource];
    for (const operationId of ['3', '1', '2']) await client.begin({ resource, operationId, type: mine });
    const claimId = randomUUID();
    const { claimed } = await client.claim({
      types: [mine, 'other'],
      claimId,
      owner: 'w1',
      maxOperations: 2,
    });
    expect(claimed.map(({ operation }) => operation?.operationId)).toEqual(['3', '1']);
    for (const { operation, attempt } of claimed) {
      expect(operation).toMatchObject({ state: RUNNING, owner: 'w1', attemptNumber: 1, attemptsCounted: 1 });
      expect(attempt).toMatchObject({ number: 1, claimId, fencingToken: operation?.fencingToken });
    }
    const again = await client.claim({ types: [mine], claimId, maxOperations: 2 });
    expect(again.claimed.map(({ attempt }) => attempt?.fencingToken)).toEqual(
      claimed.map(({ attempt }) => attempt?.fencingToken),
    );
    const others = await client.claim({ types: [mine], resourcePrefix: `${resource}-not`, maxOperations: 2 });
    expect(others.claimed).toEqual([]);
    const rest = await client.claim({
      types: [mine],
      resourcePrefix: resource.slice(0, 9),
      maxOperations: 32,
    });
    expect(rest.claimed.map(({ operation }) => operation?.operationId)).toEqual(['2']);
    expect((await client.claim({ types: [mine] })).claimed).toEqual([]);
  });

  test('UpdateOperation changes data, progress, labels and the version', async () => {
    const attempt = await client.started({
      ...key(),
      data: payload('a'),
      labels: new Map([
        ['a', '1'],
        ['b', '2'],
      ]),
    });
    const { operation, attempt: living } = await client.update({
      ...attempt,
      progress: payload('half'),
      setLabels: new Map([['c', '3']]),
      removeLabels: ['a', 'unknown'],
    });
    expect(operation).toMatchObject({ data: payload('a'), progress: payload('half'), version: 2n });
    expect([...(operation?.labels ?? [])].sort()).toEqual([
      ['b', '2'],
      ['c', '3'],
    ]);
    expect(living).toMatchObject({ claimId: attempt.claimId, fencingToken: attempt.fencingToken });
    const removed = await client.update({
      ...attempt,
      version: 2n,
      data: { typeUrl: '', value: Buffer.alloc(0) },
    });
    expect([removed.operation?.data, removed.operation?.progress]).toEqual([undefined, payload('half')]);
    expect(await refused(client.update({ ...attempt, version: 2n, data: payload('b') }))).toBe(
      '10 VERSION_MISMATCH',
    );
    const many = new Map(Array.from({ length: 15 }, (_, index) => [`k${index}`, 'v']));
    await expect(client.update({ ...attempt, setLabels: many })).rejects.toMatchObject({
      reason: 'INVALID_ARGUMENT',
      violations: [{ field: 'set_labels' }],
    });
    expect(await client.get(attempt)).toMatchObject({ version: 3n, data: undefined });
  });

  test('CompleteOperation records a result, an error or a cancellation, and nothing follows', async () => {
    const error = { code: 9, message: 'no such file', details: [payload('detail')] };
    const cases = [
      [{ $case: 'result', value: payload('42') }, SUCCEEDED, { $case: 'result', value: payload('42') }],
      [{ $case: 'error', value: error }, FAILED, { $case: 'error', value: error }],
      [
        { $case: 'cancelled', value: { message: 'stopped' } },
        CANCELLED,
        { $case: 'error', value: { code: 1, message: 'stopped', details: [] } },
      ],
    ] as const;
    for (const [outcome, state, told] of cases) {
      const attempt = await client.started(key());
      // A copy, since a generated request wants arrays that could be written to.
      const done = await client.complete({ ...attempt, outcome: structuredClone(outcome) as never });
      expect(done).toMatchObject({ state, attemptNumber: 1 });
      expect(normal(done.outcome)).toEqual(normal(told));
      expect(done.finishTime).toBeDefined();
      expect(await refused(client.complete(attempt))).toBe('9 WRONG_STATE');
      expect(await refused(client.update({ ...attempt, progress: payload('more') }))).toBe('9 WRONG_STATE');
    }
  });

  test('a write of a former attempt is refused and changes nothing', async () => {
    const former = await client.started({ ...key(), heartbeatTimeout: duration(1_000) });
    const newer = await overtaken(former);
    const before = await client.get(former);
    const writes = [
      client.update({ ...former, data: payload('late') }),
      client.complete(former),
      client.yield(former),
    ];
    expect(await Promise.all(writes.map(refused))).toEqual(writes.map(() => '9 STALE_ATTEMPT'));
    const stream = client.keepAlive(former);
    expect((await stream.event('lost')).reason).toBe(AttemptLostReason.ATTEMPT_LOST_REASON_SUPERSEDED);
    expect(await stream.ended()).toBe('9 STALE_ATTEMPT');
    const wrongToken = { ...newer, fencingToken: newer.fencingToken + 1n };
    expect(await refused(client.complete(wrongToken))).toBe('9 STALE_ATTEMPT');
    const after = await client.get(former);
    expect({ ...after, heartbeatRemaining: undefined }).toEqual({ ...before, heartbeatRemaining: undefined });
    expect(newer.fencingToken).toBeGreaterThan(former.fencingToken);
  });

  /** The next attempt, which begins as soon as the former is stale. */
  async function overtaken({ resource, operationId }: Key) {
    for (;;) {
      try {
        return await client.started({ resource, operationId });
      } catch (error) {
        const { retryAfterMs } = error as { retryAfterMs?: number }; // of ATTEMPT_HELD
        if (retryAfterMs === undefined) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.max(retryAfterMs, 5)));
      }
    }
  }

  test('YieldOperation gives an operation back, does not count the attempt, and lets nobody claim it before the delay', async () => {
    const mine = type();
    const attempt = await client.started({ ...key(), type: mine });
    const yielded = await client.yield({ ...attempt, delay: duration(600) });
    expect(yielded).toMatchObject({ state: PENDING, attemptNumber: 1, attemptsCounted: 0 });
    expect(yielded.claimableTime).toBeDefined();
    expect((await client.claim({ types: [mine] })).claimed).toEqual([]);
    const yieldedMs = performance.now();
    const { claimed } = await client.claim({ types: [mine], waitTimeout: duration(5_000) });
    expect(claimed[0]?.operation).toMatchObject({ attemptNumber: 2, attemptsCounted: 1 });
    expect(performance.now() - yieldedMs).toBeLessThan(3_000);
  });

  test('CancelOperation ends a pending operation, asks the worker of a running one, and is refused after a success', async () => {
    const pending = key();
    await client.begin(pending);
    const cancelled = await client.cancel({ ...pending, reason: 'not needed' });
    expect(cancelled).toMatchObject({
      state: CANCELLED,
      outcome: { $case: 'error', value: { code: 1, message: 'not needed' } },
    });
    expect(await client.cancel(pending)).toMatchObject({ state: CANCELLED, version: cancelled.version });
    const running = await client.started(key());
    const asked = await client.cancel({
      resource: running.resource,
      operationId: running.operationId,
      reason: 'why',
    });
    expect(asked).toMatchObject({ state: RUNNING, cancelRequested: true, cancelReason: 'why' });
    await client.complete(running);
    const { resource, operationId } = running;
    expect(await refused(client.cancel({ resource, operationId }))).toBe('9 WRONG_STATE');
    expect(await refused(client.cancel(missing))).toBe('5 OPERATION_NOT_FOUND');
  });

  test('RetryOperation begins a failed operation again', async () => {
    const attempt = await client.started(key());
    const ref = { resource: attempt.resource, operationId: attempt.operationId };
    expect(await refused(client.retry(ref))).toBe('9 WRONG_STATE');
    await client.complete({
      ...attempt,
      outcome: { $case: 'error', value: { code: 13, message: 'broken', details: [] } },
    });
    expect(await refused(client.retry({ ...ref, version: 1n }))).toBe('10 VERSION_MISMATCH');
    expect(await client.retry(ref)).toMatchObject({
      state: PENDING,
      outcome: undefined,
      attemptNumber: 1,
      attemptsCounted: 0,
    });
    expect(await refused(client.retry(missing))).toBe('5 OPERATION_NOT_FOUND');
  });

  test('DeleteOperation is refused while the operation runs, and succeeds when there is none', async () => {
    const attempt = await client.started(key());
    const ref = { resource: attempt.resource, operationId: attempt.operationId };
    expect(await refused(client.delete(ref))).toBe('9 WRONG_STATE');
    await client.complete(attempt);
    expect(await refused(client.delete({ ...ref, version: 1n }))).toBe('10 VERSION_MISMATCH');
    expect(await client.delete(ref)).toEqual({ deleted: true });
    expect(await client.delete(ref)).toEqual({ deleted: false });
    expect(await refused(client.get(ref))).toBe('5 OPERATION_NOT_FOUND');
  });

  test('ListOperations lists by filter, page by page, and without payloads unless they are asked for', async () => {
    const { resource } = key();
    for (let index = 0; index < 7; index++) {
      const labels = new Map([['half', index < 4 ? 'first' : 'second']]);
      await client.begin({ resource, operationId: `o${index}`, data: payload('data'), labels });
    }
    const filter = { resource, labels: new Map([['half', 'first']]), states: [PENDING], types: ['test'] };
    const found: string[] = [];
    let pageToken = '';
    for (let pages = 0; pages < 50; pages++) {
      const page = await client.list({ filter, pageSize: 3, pageToken });
      expect(page.operations.length).toBeLessThanOrEqual(3);
      for (const operation of page.operations) {
        expect(operation.data).toBeUndefined();
        found.push(operation.operationId);
      }
      pageToken = page.nextPageToken;
      if (pageToken === '') break;
    }
    expect(found).toEqual(['o0', 'o1', 'o2', 'o3']);
    const { operations } = await client.list({ filter: { resource }, pageSize: 100_000, withPayloads: true });
    expect(operations).toHaveLength(7);
    expect(operations[0]?.data).toEqual(payload('data'));
    const { nextPageToken } = await client.list({ filter: { resource }, pageSize: 2 });
    for (const wrong of [nextPageToken.slice(1), `${nextPageToken}A`, 'x']) {
      expect(await refused(client.list({ filter: { resource }, pageToken: wrong }))).toBe(
        '3 INVALID_ARGUMENT',
      );
    }
    expect(await refused(client.list({ filter, pageToken: nextPageToken }))).toBe('3 INVALID_ARGUMENT');
  });

  test('KeepAliveOperation renews, tells once to cancel, and tells how the attempt ended', async () => {
    const attempt = await client.started({ ...key(), heartbeatTimeout: duration(1_000) });
    const stream = client.keepAlive(attempt);
    const first = await stream.event('renewed');
    expect(first).toMatchObject({ number: 1, claimId: attempt.claimId, fencingToken: attempt.fencingToken });
    const askedMs = performance.now();
    await client.cancel({ resource: attempt.resource, operationId: attempt.operationId, reason: 'enough' });
    expect(await stream.event('cancelRequested')).toEqual({ reason: 'enough' });
    expect(performance.now() - askedMs).toBeLessThan(1_000);
    const later = await stream.event('renewed', { count: 8 });
    expect(validForMs(later)).toBeGreaterThan(1_500);
    expect(stream.all('cancelRequested')).toHaveLength(1);
    await client.complete(attempt);
    expect((await stream.event('lost')).reason).toBe(AttemptLostReason.ATTEMPT_LOST_REASON_FINISHED);
    expect(await stream.ended()).toBe('without an error');
  });

  test('the newest KeepAliveOperation speaks for the attempt, and the end of a stream gives nothing back', async () => {
    const attempt = await client.started(key());
    const [older, newer] = [client.keepAlive(attempt), client.keepAlive(attempt)];
    await Promise.any([older, newer].map((stream) => stream.ended()));
    const moved = older.kinds().includes('moved') ? older : newer;
    expect(await moved.ended()).toBe('10 MOVED');
    (moved === older ? newer : older).call.cancel();
    expect(await client.get(attempt)).toMatchObject({ state: RUNNING });
  });

  test('KeepAliveOperation says when an attempt was yielded, is unknown or has another token', async () => {
    const attempt = await client.started(key());
    const stream = client.keepAlive(attempt);
    await stream.event('renewed');
    await client.yield(attempt);
    expect((await stream.event('lost')).reason).toBe(AttemptLostReason.ATTEMPT_LOST_REASON_YIELDED);
    expect(await stream.ended()).toBe('without an error');
    const unknown = client.keepAlive({ ...attempt, operationId: 'unknown' });
    expect((await unknown.event('lost')).reason).toBe(AttemptLostReason.ATTEMPT_LOST_REASON_UNKNOWN_ATTEMPT);
    const running = await client.started(key());
    const wrong = client.keepAlive({ ...running, fencingToken: 7n });
    expect((await wrong.event('lost')).reason).toBe(AttemptLostReason.ATTEMPT_LOST_REASON_SUPERSEDED);
    expect(await wrong.ended()).toBe('9 STALE_ATTEMPT');
  });
});

/** Buffers and plain byte arrays are equal. */
function normal(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, inner) =>
      inner instanceof Uint8Array ? Buffer.from(inner).toString('hex') : inner,
    ),
  );
}
