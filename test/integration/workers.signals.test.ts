// Signals to a server with several processes: what drains, what ends at once, what is read again, and with which exit
// code.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { hold } from '../support/lease-stream.ts';
import { gone, startedWorkers } from '../support/worker-rig.ts';

describe.concurrent('signals to a server with several processes', { timeout: 90_000 }, () => {
  test('on SIGTERM every server process drains, calls in progress are answered, and the status is 0', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, address, redis } = await startedWorkers(atEnd, 2, {
      LEASEHOLD_REDIS_COMMAND_TIMEOUT: '8s',
      LEASEHOLD_SERVER_DRAIN_TIMEOUT: '8s',
    });
    const clients = await rig.connectToEach(address, 2);
    await redis.pause();
    const calls = [...clients.values()].map(async (client, index) => {
      const call = client.acquire({ resource: `in-progress-${index}` });
      await client.getServerInfo(); // on the same connection, after it
      return () => call;
    });
    const answers = (await Promise.all(calls)).map((answer) => answer());
    rig.server.signal('SIGTERM');
    await eventually(() => rig.lines('draining').length === 3, { what: 'draining', withinMs: 5_000 });
    expect((await rig.admin('/readyz')).status).toBe(503);
    await redis.resume();
    for (const { lease } of await Promise.all(answers)) expect(lease?.resource).toMatch(/^in-progress/);
    expect(await rig.server.exit(9_000)).toBe(0);
    const stopped = rig.lines('stopped').map(({ worker }) => worker ?? 'supervisor');
    expect(stopped.toSorted()).toEqual([1, 2, 'supervisor']);
    expect(stopped.at(-1)).toBe('supervisor');
    expect(rig.lines('a worker has ended; another takes its place')).toEqual([]);
    expect(rig.server.stderr).toBe('');
    await gone(rig.workers().map(({ pid }) => pid));
  });

  test('a signal that the server processes get too, as from a terminal or systemd, counts once', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig } = await startedWorkers(atEnd, 2);
    for (const { pid } of rig.workers()) process.kill(pid, 'SIGINT');
    rig.server.signal('SIGINT');
    for (const { pid } of rig.workers()) process.kill(pid, 'SIGINT');
    expect(await rig.server.exit(9_000)).toBe(0);
  });

  test('a second signal ends all server processes at once, with status 1', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, address } = await startedWorkers(atEnd, 2, { LEASEHOLD_SERVER_DRAIN_TIMEOUT: '60s' });
    const streams = [...(await rig.connectToEach(address, 2)).values()].map((client, index) =>
      hold(client, { resource: `held-${index}` }),
    );
    for (const stream of streams) await stream.event('granted');
    rig.server.signal('SIGTERM');
    await eventually(() => rig.lines('draining').length === 3, { what: 'draining', withinMs: 5_000 });
    expect(streams.map(({ hasEnded }) => hasEnded)).toEqual([false, false]);
    rig.server.signal('SIGTERM');
    expect(await rig.server.exit(5_000)).toBe(1);
    // No word of the server: what the library calls the end of a connection, or of a stream that was cut in the middle.
    for (const stream of streams) expect(await stream.ended()).toMatch(/^1[34] $/);
    await gone(rig.workers().map(({ pid }) => pid));
  });

  test('SIGTERM to one server process restarts it in order, and the others go on', async ({
    onTestFinished: atEnd,
  }) => {
    const { rig, address } = await startedWorkers(atEnd, 2);
    const [first] = rig.workers();
    if (!first) throw new Error('a server process');
    process.kill(first.pid, 'SIGTERM');
    await eventually(() => rig.workers().length === 3, { what: 'a replacement', withinMs: 15_000 });
    expect(rig.lines('stopped')).toMatchObject([{ worker: first.worker, pid: first.pid }]);
    expect(rig.workers().at(-1)?.worker).toBe(first.worker);
    await rig.connectToEach(address, 2);
    rig.server.signal('SIGTERM');
    expect(await rig.server.exit(9_000)).toBe(0);
  });

  test('on SIGHUP every server process reads the tokens again', async ({ onTestFinished: atEnd }) => {
    const folder = mkdtempSync(join(tmpdir(), 'tokens-'));
    atEnd(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'tokens');
    const [old, fresh] = ['old-token-1234567890', 'new-token-1234567890'];
    writeFileSync(file, `billing client ${old}\n`);
    const { rig, address } = await startedWorkers(atEnd, 2, { LEASEHOLD_AUTH_TOKENS_FILE: file });
    const codes = async (token: string): Promise<readonly string[]> =>
      Promise.all(
        [1, 2, 3, 4].map(async () => {
          const { promise, resolve } = Promise.withResolvers<string>();
          rig
            .connect(address, undefined, token)
            .getServerInfo()
            .then(
              () => resolve('ok'),
              (error: { code: number }) => resolve(`code ${error.code}`),
            );
          return promise;
        }),
      );
    expect(await codes(old)).toEqual(['ok', 'ok', 'ok', 'ok']);
    writeFileSync(file, `billing client ${fresh}\n`);
    rig.server.signal('SIGHUP');
    await eventually(() => rig.lines('tokens read again').length === 2, {
      what: 'a reload',
      withinMs: 5_000,
    });
    expect(await codes(old)).toEqual(['code 16', 'code 16', 'code 16', 'code 16']);
    expect(await codes(fresh)).toEqual(['ok', 'ok', 'ok', 'ok']);
  });
});
