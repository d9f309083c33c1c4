// Calls on operations that wait, over a real channel and on both stores: long-polling claims, waits for an end,
// watches, and what happens to all of them when the instance stops.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OperationState } from '../../generated/leasehold/v1/operation.ts';
import {
  WatchOperationsRequest,
  type WatchOperationsResponse,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import { SKEW_ALLOWANCE_MS } from '../../src/domain/safety.ts';
import type { EventStream } from '../support/event-stream.ts';
import { eventually } from '../support/eventually.ts';
import { held, OperationClient, payload } from '../support/operation-client.ts';
import { type Rig, STORE_KINDS, startRig } from '../support/store-kinds.ts';
import { duration } from '../support/test-instance.ts';

const { OPERATION_STATE_RUNNING: RUNNING, OPERATION_STATE_PENDING: PENDING } = OperationState;
const fresh = (what: string): string => `${what}-${randomUUID()}`;
const waitTimeout = duration(20_000);

const reasonOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'answered',
    ({ code, reason }: { code: number; reason: string }) => `${code} ${reason}`,
  );

describe.each(STORE_KINDS)('waiting, %s store', (kind) => {
  let rig: Rig;
  let client: OperationClient;

  beforeAll(async () => {
    rig = await startRig(kind, { LEASEHOLD_ADMIN_ADDRESS: '127.0.0.1:0' });
    client = new OperationClient(rig.instance.address);
  });
  afterAll(async () => {
    client?.close();
    await rig?.stop();
  });

  test('each operation goes to one of fifty claimers at once, and the others wait on', async () => {
    const [type, resource] = [fresh('t'), fresh('r')];
    const over = new AbortController();
    const claims = Array.from({ length: 50 }, (_, index) =>
      client.claim(
        { types: [type], waitTimeout, owner: `w${index}` },
        { signal: over.signal, timeoutMs: 30_000 },
      ),
    );
    const answers: string[] = [];
    for (const claim of claims) {
      void claim.then(
        ({ claimed }) => answers.push(...claimed.map(({ operation }) => operation?.operationId ?? '')),
        () => {},
      );
    }
    await client.begin({ resource, operationId: 'first', type });
    await eventually(() => answers.length === 1, { what: 'the first claim', withinMs: 10_000 });
    for (let index = 0; index < 20; index++) await client.begin({ resource, operationId: `o${index}`, type });
    await eventually(() => answers.length === 21, { what: 'all claims', withinMs: 10_000 });
    expect(new Set(answers).size).toBe(21);
    over.abort();
    const outcomes = await Promise.allSettled(claims);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(21);
  });

  test('a claim whose client has gone claims nothing', async () => {
    const [type, resource] = [fresh('t'), fresh('r')];
    const gone = new AbortController();
    const claim = client.claim({ types: [type], waitTimeout }, { signal: gone.signal });
    const other = client.claim({ types: [type, fresh('t')], waitTimeout });
    await waitingClaims(2);
    gone.abort();
    expect(await reasonOf(claim)).toContain('1 ');
    await waitingClaims(1);
    await client.begin({ resource, operationId: 'o', type });
    expect((await other).claimed).toHaveLength(1);
    expect(await client.get({ resource, operationId: 'o' })).toMatchObject({
      attemptNumber: 1,
      state: RUNNING,
    });
  });

  /** Waits until this many claims wait on the instance. */
  async function waitingClaims(count: number): Promise<void> {
    const { host = '', port = 0 } = rig.instance.adminAddress ?? {};
    const isSo = async (): Promise<boolean> => {
      const metrics = await (await fetch(`http://${host}:${port}/metrics`)).text();
      return metrics.includes(`\nleasehold_waiting_claims ${count}\n`);
    };
    await eventually(isSo, { what: `${count} waiting claims`, withinMs: 5_000 });
  }

  test('a claim ends with nothing when its time is over, and before the deadline of the client', async () => {
    const startedMs = performance.now();
    expect(await client.claim({ types: [fresh('t')], waitTimeout: duration(300) })).toEqual({ claimed: [] });
    expect(performance.now() - startedMs).toBeGreaterThan(290);
    // The answer comes 0.1 s before the deadline: a busy machine may need more than one call to show it.
    const late = () => client.claim({ types: [fresh('t')], waitTimeout }, { timeoutMs: 600 });
    expect(await eventually(late, { what: 'an answer before the deadline', withinMs: 15_000 })).toEqual({
      claimed: [],
    });
    expect(performance.now() - startedMs).toBeLessThan(19_000);
  });

  test('a stale operation wakes a claim that waits, without any notice', async () => {
    const [type, resource] = [fresh('t'), fresh('r')];
    const former = await client.started({
      resource,
      operationId: 'o',
      type,
      heartbeatTimeout: duration(1_000),
    });
    const startedMs = performance.now();
    const { claimed } = await client.claim({ types: [type], waitTimeout });
    expect(performance.now() - startedMs).toBeLessThan(1_000 + SKEW_ALLOWANCE_MS + 1_000);
    expect(claimed[0]?.operation).toMatchObject({ attemptNumber: 2, attemptsCounted: 2 });
    expect(held(claimed[0] ?? {}).fencingToken).toBeGreaterThan(former.fencingToken);
  });

  test('WaitOperation is woken by the end of the operation, and by nothing else', async () => {
    const attempt = await client.started({ resource: fresh('r'), operationId: 'o' });
    const { resource, operationId } = attempt;
    const waits = Array.from({ length: 20 }, () => client.wait({ resource, operationId, waitTimeout }));
    let answered = 0;
    for (const wait of waits) void wait.then(() => answered++);
    await client.update({ ...attempt, progress: payload('half') });
    expect((await client.wait({ resource, operationId, waitTimeout: duration(200) })).done).toBe(false);
    expect(answered).toBe(0);
    const completedMs = performance.now();
    await client.complete(attempt);
    for (const { operation, done } of await Promise.all(waits)) {
      expect([operation?.outcome?.$case, done]).toEqual(['result', true]);
    }
    expect(performance.now() - completedMs).toBeLessThan(5_000); // long before waitTimeout
    expect((await client.wait({ resource, operationId, waitTimeout })).done).toBe(true);
  });

  test('WaitOperation ends when the operation is removed or does not exist, and before the deadline of the client', async () => {
    const key = { resource: fresh('r'), operationId: 'o' };
    expect(await reasonOf(client.wait({ ...key, waitTimeout }))).toBe('5 OPERATION_NOT_FOUND');
    await client.begin(key);
    const late = await eventually(() => client.wait(key, { timeoutMs: 500 }), {
      what: 'an answer before the deadline',
      withinMs: 15_000,
    });
    expect([late.done, late.operation?.state]).toEqual([false, PENDING]);
    const removed = reasonOf(client.wait({ ...key, waitTimeout }));
    await client.delete(key);
    expect(await removed).toBe('5 OPERATION_NOT_FOUND');
  });

  const states = (stream: EventStream<WatchOperationsResponse>): string[] =>
    stream.events.map(({ event }) => {
      if (event?.$case === 'operation') return `${event.value.operationId} ${event.value.state}`;
      return event?.$case === 'removed' ? `${event.value.operationId} removed` : (event?.$case ?? '');
    });

  test('WatchOperations tells the snapshot, its end and each change', async () => {
    const resource = fresh('r');
    await client.begin({ resource, operationId: 'a', data: payload('data') });
    const stream = client.watch({ filter: { resource } });
    await stream.event('snapshotComplete');
    // More than once, if the watch hears of its own change while it reads the snapshot.
    expect([...new Set(stream.kinds())]).toEqual(['operation', 'snapshotComplete']);
    const told = stream.all('operation').length;
    expect(stream.all('operation')[0]).toMatchObject({ operationId: 'a', state: PENDING, data: undefined });
    const attempt = await client.started({ resource, operationId: 'b', data: payload('data') });
    await stream.event('operation', { count: told + 1 });
    await client.complete(attempt);
    const done = await stream.event('operation', { count: told + 2 });
    expect(done).toMatchObject({ operationId: 'b', outcome: { $case: 'result' }, data: undefined });
    await client.delete({ resource, operationId: 'a' });
    expect(await stream.event('removed')).toEqual({ resource, operationId: 'a' });
    await client.begin({ resource: `${resource}-other`, operationId: 'c' });
    await stream.event('heartbeat');
    expect(stream.all('operation').map(({ operationId }) => operationId)).not.toContain('c');
    stream.call.cancel();
  });

  test('WatchOperations tells an operation that no longer fits the filter once more, and then never again', async () => {
    const resource = fresh('r');
    const stream = client.watch({ filter: { resource, states: [RUNNING] }, withPayloads: true });
    await stream.event('snapshotComplete');
    await client.begin({ resource, operationId: 'never' });
    const attempt = await client.started({ resource, operationId: 'b', data: payload('data') });
    expect((await stream.event('operation')).data).toEqual(payload('data'));
    await client.yield({ ...attempt, delay: duration(60_000) });
    expect((await stream.event('operation', { count: 2 })).state).toBe(PENDING);
    await client.cancel({ resource, operationId: 'b' });
    await client.delete({ resource, operationId: 'b' });
    await client.started({ resource, operationId: 'later' });
    await stream.event('operation', { count: 3 });
    expect(stream.all('operation').map(({ operationId }) => operationId)).toEqual(['b', 'b', 'later']);
    expect(states(stream)).not.toContain('b removed');
    stream.call.cancel();
  });

  test('WatchOperations with a prefix tells none of the other operations', async () => {
    const prefix = fresh('p');
    await client.begin({ resource: `${prefix}/1`, operationId: 'a' });
    await client.begin({ resource: `other-${prefix}`, operationId: 'b' });
    const stream = client.watch({ filter: { resourcePrefix: prefix } });
    await stream.event('snapshotComplete');
    await client.begin({ resource: `${prefix}/2`, operationId: 'c' });
    await stream.event('operation', { count: 2 });
    expect(stream.all('operation').map(({ operationId }) => operationId)).toEqual(['a', 'c']);
    stream.call.cancel();
  });
});

describe.each(STORE_KINDS)('an instance that stops, %s store', (kind) => {
  test('an instance that stops tells the calls that wait, and running attempts go on elsewhere', {
    timeout: 30_000,
  }, async ({ onTestFinished }) => {
    const rig = await startRig(kind, { LEASEHOLD_SERVER_DRAIN_TIMEOUT: '3s' });
    const client = new OperationClient(rig.instance.address);
    let hasStopped = false;
    onTestFinished(async () => {
      client.close();
      if (!hasStopped) await rig.stop();
    });
    const attempt = await client.started({ resource: 'r', operationId: 'o' });
    const { resource, operationId } = attempt;
    const stream = client.keepAlive(attempt);
    const watch = client.watch();
    await stream.event('renewed');
    await watch.event('snapshotComplete');
    const claim = reasonOf(client.claim({ types: [fresh('t')], waitTimeout }));
    const wait = reasonOf(client.wait({ resource, operationId, waitTimeout }));
    await client.get(attempt); // the two before it on the same connection have arrived
    const stopped = rig.stop();
    hasStopped = true;
    expect(await Promise.all([claim, wait])).toEqual(['14 DRAINING', '14 DRAINING']);
    expect(await watch.ended()).toBe('14 DRAINING');
    await stream.event('draining');
    expect(await stream.ended()).toBe('14 DRAINING');
    expect(stream.kinds()).not.toContain('lost');
    await stopped;
  });
});

test('a watch that nobody reads uses bounded memory, and is ended', { timeout: 60_000 }, async ({
  onTestFinished,
}) => {
  const rig = await startRig('embedded');
  const client = new OperationClient(rig.instance.address);
  const { host, port } = rig.instance.address;
  const session = connect(`http://${host}:${port}`, { settings: { initialWindowSize: 1_024 } });
  onTestFinished(async () => {
    session.destroy();
    client.close();
    await rig.stop();
  });
  await once(session, 'connect');
  const stream = session.request({
    ':method': 'POST',
    ':path': '/leasehold.v1.OperationStoreService/WatchOperations',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.pause();
  const message = WatchOperationsRequest.encode(
    WatchOperationsRequest.fromPartial({ withPayloads: true }),
  ).finish();
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([frame, message]));
  const attempt = await client.started({ resource: 'r', operationId: 'o' });
  const updates = 400;
  for (let update = 0; update < updates; update++) {
    await client.update({ ...attempt, progress: payload(`${update} ${'x'.repeat(20_000)}`) });
  }
  let received = 0;
  stream.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  stream.resume();
  await eventually(() => received > 20_000, { what: 'the newest state', withinMs: 5_000 });
  // Of one operation, what was on its way and the newest state: not the hundreds of states that it did not read.
  expect(received).toBeLessThan((updates / 10) * 20_000);
});
