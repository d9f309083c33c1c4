// Several server processes behind one port: each runs an instance of its own, and together they are as safe as
// instances on several hosts.
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CallError } from '../../src/client/core/call-error.ts';
import { eventually } from '../support/eventually.ts';
import { startedWorkers } from '../support/worker-rig.ts';

describe.concurrent('several server processes', { timeout: 90_000 }, () => {
  test('server processes share one port, and connections are spread evenly over their instances', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, address } = await startedWorkers(atEnd, 3);
    const counts = new Map<string, number>();
    for (let connection = 0; connection < 12; connection++) {
      const { info } = await rig.connect(address).getServerInfo();
      const id = String(info?.instanceId);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    expect([...counts.values()]).toEqual([4, 4, 4]);
    expect([...counts.keys()].toSorted()).toEqual(
      rig
        .workers()
        .map(({ instanceId }) => instanceId)
        .toSorted(),
    );
    expect(
      rig
        .workers()
        .map(({ worker }) => worker)
        .toSorted(),
    ).toEqual([1, 2, 3]);
    // The supervisor says once, when all serve, what a user wants to know.
    const [serving, ...more] = rig.lines('serving');
    expect(more).toEqual([]);
    expect(serving).toMatchObject({ address: `127.0.0.1:${address.port}`, workers: 3, store: 'redis' });
    expect(serving).not.toHaveProperty('instanceId');
    expect(serving).not.toHaveProperty('worker');
  });

  test('server processes exclude each other, hand over to each other, and release what another one granted', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, address } = await startedWorkers(atEnd, 2);
    const [one, other] = [...(await rig.connectToEach(address, 2)).values()];
    if (!one || !other) throw new Error('two clients');
    const first = { resource: 'shared-port', leaseId: randomUUID() };
    const second = { resource: 'shared-port', leaseId: randomUUID() };
    const granted = await one.acquire(first);
    await expect(other.acquire(second)).rejects.toMatchObject({ reason: 'LOCK_CONTENDED' });
    const waiting = other.acquire(second, { $case: 'waitForever', value: true });
    await eventually(async () => (await one.getLock('shared-port')).lock?.waiterCount === 1, {
      what: 'the waiter in the queue',
      withinMs: 5_000,
    });
    // The server process that releases it didn't grant it.
    await other.release(first);
    const next = (await waiting).lease;
    expect(next?.fencingToken).toBeGreaterThan(granted.lease?.fencingToken ?? 0n);
    await expect(one.acquire(first)).rejects.toBeInstanceOf(CallError);
  });

  test('server processes that start together on an empty Redis begin one reign, and grant at once', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, address, redis } = await startedWorkers(atEnd, 4);
    expect(rig.lines('a new reign begins')).toHaveLength(1);
    expect(rig.lines('primary in use').map(({ quarantineMs }) => quarantineMs)).toEqual([0, 0, 0, 0]);
    const clients = [...(await rig.connectToEach(address, 4)).values()];
    const outcomes = await Promise.allSettled(clients.map((client) => client.acquire({ resource: 'first' })));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await redis.withClient((connection) => connection.hget('leasehold:{0}:meta', 'epoch'))).toBe('1');
  });

  test('one admin port tells the readiness of all server processes, and the series of each under its number', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, address } = await startedWorkers(atEnd, 2);
    expect(await rig.admin('/healthz')).toEqual({ status: 200, text: 'ok\n' });
    await eventually(async () => (await rig.admin('/readyz')).status === 200, {
      what: 'ready',
      withinMs: 5_000,
    });
    const clients = await rig.connectToEach(address, 2);
    for (const client of clients.values()) await client.acquire({ resource: randomUUID() });
    for (const { worker, instanceId } of rig.workers()) {
      expect(await rig.metric(`leasehold_calls_total{method="Acquire",code="OK",worker="${worker}"}`)).toBe(
        1,
      );
      const info = `version="0.1.0",instance_id="${instanceId}",store="redis",worker="${worker}"`;
      expect(await rig.metric(`leasehold_info{${info}}`)).toBe(1);
      expect(await rig.metric(`leasehold_ready{worker="${worker}"}`)).toBe(1);
      expect(await rig.metric(`leasehold_worker_up{worker="${worker}"}`)).toBe(1);
      expect(await rig.metric(`leasehold_worker_ends_total{worker="${worker}"}`)).toBe(0);
    }
    expect(await rig.metric('process_resident_memory_bytes{worker="supervisor"}')).toBeGreaterThan(1e6);
  });
});
