// Server processes and their supervisor are killed or hang: what goes on, what is replaced, and that nothing is left
// behind.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createClient, type LeaseEvent } from '../../src/client/client.ts';
import type { HostPort } from '../../src/domain/host-port.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { eventually } from '../support/eventually.ts';
import { gone, hasEnded, startedWorkers, type WorkerLine, type WorkerRig } from '../support/worker-rig.ts';

/** The server process that keeps the only lease. */
async function keeperOf(rig: WorkerRig): Promise<WorkerLine> {
  return eventually(
    async () => {
      for (const line of rig.workers().toReversed()) {
        if ((await rig.metric(`leasehold_kept_leases{worker="${line.worker}"}`)) === 1) return line;
      }
      return false;
    },
    { what: 'a server process that keeps the lease', withinMs: 10_000 },
  );
}

async function listens(address: HostPort): Promise<void> {
  const server = createServer().listen(address.port, address.host);
  await once(server, 'listening');
  await new Promise((resolve) => server.close(resolve));
}

describe.concurrent('killed server processes', { timeout: 90_000 }, () => {
  test('when kill -9 ends a server process under a held lease, another one keeps the lease, and a new process takes its place', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, address } = await startedWorkers(atEnd, 2);
    const client = createClient({ addresses: formatHostPort(address) });
    atEnd(() => client.close());
    const events: LeaseEvent['kind'][] = [];
    const onEvent = ({ kind }: LeaseEvent): unknown => events.push(kind);
    const lease = await client.acquire('survives', { ttlMs: 8_000, onEvent });
    const before = await keeperOf(rig);
    process.kill(before.pid, 'SIGKILL');
    await eventually(() => rig.workers().length === 3, { what: 'a replacement', withinMs: 15_000 });
    const after = await keeperOf(rig);
    expect(after.instanceId).not.toBe(before.instanceId);
    expect(events).toContain('reopened');
    await eventually(() => events.lastIndexOf('renewed') > events.lastIndexOf('reopened'), {
      what: `a renewal after ${events}`,
      withinMs: 8_000,
    });
    expect(lease.signal.aborted).toBe(false);

    expect(rig.lines('a worker has ended; another takes its place')).toMatchObject([
      { level: 50, worker: before.worker, workerPid: before.pid, how: 'SIGKILL', inARow: 1 },
    ]);
    const replacement = rig.workers().at(-1);
    expect(replacement?.worker).toBe(before.worker);
    expect(rig.workers().map(({ instanceId }) => instanceId)).toHaveLength(3);
    // The metrics of both go on, and they show the end.
    expect(await rig.metric(`leasehold_worker_ends_total{worker="${before.worker}"}`)).toBe(1);
    await rig.connectToEach(address, 2);
    for (const worker of [1, 2]) {
      expect(await rig.metric(`leasehold_worker_up{worker="${worker}"}`)).toBe(1);
      const calls = `leasehold_calls_total{method="GetServerInfo",code="OK",worker="${worker}"}`;
      expect(await rig.metric(calls)).toBeGreaterThan(0);
    }
    expect(rig.lines('serving')).toHaveLength(1);
    await lease.release();
  });

  test('a server process that replaces another never takes an empty Redis for a new deployment', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, redis } = await startedWorkers(atEnd, 2); // with bootstrap: new
    const [ending, staying] = rig.workers();
    if (!ending || !staying) throw new Error('two server processes');
    await redis.kill();
    await rig.server.logged(/"no primary"/);
    process.kill(ending.pid, 'SIGKILL');
    await eventually(() => rig.workers().length === 3, { what: 'a replacement', withinMs: 15_000 });
    // The other one knows that there were leases: it must not come first and begin the quarantine for both.
    process.kill(staying.pid, 'SIGSTOP');
    const said = rig.lines('primary in use').length;
    await redis.start(); // empty, since it keeps nothing
    await eventually(() => rig.lines('primary in use').length > said, {
      what: 'a primary in use by the replacement',
      withinMs: 10_000,
    });
    const [inUse] = rig.lines('primary in use').slice(said);
    process.kill(staying.pid, 'SIGCONT');
    expect(inUse).toMatchObject({ worker: ending.worker });
    expect(Number(inUse?.quarantineMs)).toBeGreaterThan(20_000);
  });

  test('a server process that hangs is killed and replaced, and the others answer all the while', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, address } = await startedWorkers(atEnd, 2);
    const [hanging, other] = rig.workers();
    if (!hanging || !other) throw new Error('two server processes');
    const clients = await rig.connectToEach(address, 2);
    process.kill(hanging.pid, 'SIGSTOP');
    // Its series are left out, and the scrape doesn't wait for them.
    await eventually(
      async () => (await rig.metric(`leasehold_ready{worker="${hanging.worker}"}`)) === undefined,
      {
        what: 'a scrape without the one that hangs',
        withinMs: 5_000,
      },
    );
    expect(await rig.metric(`leasehold_ready{worker="${other.worker}"}`)).toBe(1);
    await clients.get(other.instanceId)?.getServerInfo();
    await eventually(() => rig.workers().length === 3, { what: 'a replacement', withinMs: 45_000 });
    expect(rig.lines('a worker hangs: it has been silent for too long, and is killed')).toMatchObject([
      { level: 50, worker: hanging.worker, workerPid: hanging.pid },
    ]);
    expect(rig.workers().at(-1)?.worker).toBe(hanging.worker);
    expect((await clients.get(other.instanceId)?.getServerInfo())?.info?.instanceId).toBe(other.instanceId);
  });

  // Whether a process has ended that nobody has waited for is read from /proc.
  test.skipIf(process.platform !== 'linux')(
    'a server whose last server process is killed ends, as a crashed single process does',
    async ({ onTestFinished: atEnd }) => {
      const { rig } = await startedWorkers(atEnd, 2);
      // The supervisor stands still meanwhile: it would replace the first one before it saw the second one end.
      rig.server.signal('SIGSTOP');
      killAll(rig.workers());
      await eventually(() => rig.workers().every(({ pid }) => hasEnded(pid)), {
        what: 'the end of both server processes',
        withinMs: 10_000,
      });
      rig.server.signal('SIGCONT');
      expect(await rig.server.exit(20_000)).toBe(1);
      expect(rig.lines('no longer able to serve')).toMatchObject([
        {
          level: 60,
          reason: expect.stringMatching(/^no worker is left; the last was worker [12] \(SIGKILL\)$/),
        },
      ]);
    },
  );
});

describe.concurrent('a killed supervisor', { timeout: 90_000 }, () => {
  test('a killed supervisor leaves no server process, and its port is free', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, address } = await startedWorkers(atEnd, 2);
    await rig.connectToEach(address, 2);
    await rig.server.kill();
    await gone(rig.workers().map(({ pid }) => pid));
    await listens(address);
  });

  test('the port of a killed supervisor is free even while a server process hangs', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, address } = await startedWorkers(atEnd, 2);
    const pids = rig.workers().map(({ pid }) => pid);
    const [hanging = 0] = pids;
    process.kill(hanging, 'SIGSTOP');
    atEnd(() => {
      try {
        process.kill(hanging, 'SIGKILL');
      } catch {
        // The process has ended, as it should.
      }
    });
    // This doesn't wait for the end of its output, because the server process that hangs keeps that open.
    rig.server.signal('SIGKILL');
    await eventually(() => listens(address), { what: 'a free port', withinMs: 5_000 });
    process.kill(hanging, 'SIGCONT');
    await gone(pids);
  });
});

function killAll(workers: readonly { readonly pid: number }[]): void {
  for (const { pid } of workers) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
}
