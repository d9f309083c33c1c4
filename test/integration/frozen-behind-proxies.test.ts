// A client that freezes behind a proxy. The proxy answers the server's pings, so that the server can't know; renew_for
// bounds how long it trusts such a stream.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LockState } from '../../generated/leasehold/v1/lock.ts';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';
import type { Instance } from '../../src/server/instance.ts';
import { DebianProxy, findProxy, PROXIES } from '../support/debian-proxy.ts';
import { guardFromOrphaning, releaseFromGuard } from '../support/redis/orphan-guard.ts';
import { duration, startInstance, TestClient } from '../support/test-instance.ts';

const HOLDER = join(import.meta.dirname, '../support/raw-holder.ts');
const TTL_MS = 3_000;
const RENEW_FOR_MS = 2_000;
/** Of the clocks' allowance, the slots of the wheel, and a busy machine. */
const SLACK_MS = 4_000;
/** A ping each second that is answered within a second: what ends the streams of a frozen client without a proxy. */
const PINGS = { LEASEHOLD_SERVER_KEEPALIVE_TIME: '1s', LEASEHOLD_SERVER_KEEPALIVE_TIMEOUT: '1s' };

const found = await Promise.all(PROXIES.map(async (name) => ({ name, proxy: await findProxy(name) })));

describe('a client that freezes', { timeout: 60_000 }, () => {
  let instance: Instance;
  let client: TestClient;

  beforeAll(async () => {
    instance = await startInstance(PINGS);
    client = new TestClient(instance.address);
  });
  afterAll(async () => {
    client?.close();
    await instance?.stop();
  });

  const waits = (ms: number) => ({ $case: 'waitTimeout', value: duration(ms) }) as const;

  /** A client through `address` with two leases, frozen as soon as it has both. */
  async function frozen(address: HostPort) {
    const [bounded, unbounded] = [`bounded-${randomUUID()}`, `unbounded-${randomUUID()}`];
    const wanted = [bounded, String(RENEW_FOR_MS), unbounded, '0'];
    const args = [HOLDER, formatHostPort(address), String(TTL_MS), ...wanted];
    const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const { pid } = child;
    if (pid === undefined || !child.stdout) throw new Error('the client did not start');
    guardFromOrphaning('pid', pid);
    child.once('exit', () => releaseFromGuard('pid', pid));
    const lines = createInterface(child.stdout);
    const granted = new Set<string>();
    for await (const line of lines) {
      if (!line.startsWith('granted ')) throw new Error(line);
      if (granted.add(line).size === 2) break;
    }
    child.kill('SIGSTOP');
    const kill = async (): Promise<void> => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    };
    return { bounded, unbounded, frozenMs: performance.now(), kill };
  }

  for (const { name, proxy: program } of found) {
    test.concurrent(`behind ${name} its lease ends a renew_for and a TTL later, and one without a renew_for lives on`, async (context) => {
      // Where neither the PATH nor Debian's packages have this proxy.
      if ('missing' in program) return context.skip(program.missing);
      const { onTestFinished } = context;
      const proxy = await DebianProxy.start(name, program, instance.address);
      onTestFinished(() => proxy.stop());
      const { bounded, unbounded, frozenMs, kill } = await frozen(proxy.address);
      onTestFinished(kill);
      await client.acquire({ resource: bounded }, waits(30_000), 40_000);
      const tookMs = performance.now() - frozenMs;
      expect(tookMs).toBeGreaterThan(TTL_MS);
      expect(tookMs).toBeLessThan(RENEW_FOR_MS + TTL_MS + SLACK_MS);
      // By now the lease of a client without a proxy would have ended too.
      await expect(client.acquire({ resource: unbounded }, waits(4_000))).rejects.toMatchObject({
        reason: 'LOCK_CONTENDED',
      });
      const { lock } = await client.getLock(unbounded);
      expect(lock).toMatchObject({ state: LockState.LOCK_STATE_HELD });
    });
  }

  test.concurrent('without a proxy its lease ends, whether it has a renew_for or not', async ({
    onTestFinished,
  }) => {
    const { bounded, unbounded, frozenMs, kill } = await frozen(instance.address);
    onTestFinished(kill);
    await client.acquire({ resource: bounded }, waits(30_000), 40_000);
    await client.acquire({ resource: unbounded }, waits(30_000), 40_000);
    expect(performance.now() - frozenMs).toBeLessThan(2_000 + TTL_MS + SLACK_MS);
  });
});
