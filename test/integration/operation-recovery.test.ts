// Recovery from end to end: a worker process dies or freezes in the middle of its job, another one goes on from what
// was recorded, and what the former one still writes is refused. Then the same with the Redis primary lost in between.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { OperationState } from '../../generated/leasehold/v1/operation.ts';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';
import { quarantineMs, SKEW_ALLOWANCE_MS } from '../../src/domain/safety.ts';
import { eventually } from '../support/eventually.ts';
import { type Key, OperationClient, payload } from '../support/operation-client.ts';
import { SentinelCluster } from '../support/redis/sentinel-cluster.ts';
import { STORE_KINDS, startRig } from '../support/store-kinds.ts';
import { clusterEnvironment, duration, startInstance } from '../support/test-instance.ts';

const WORKER = join(import.meta.dirname, '../support/job-worker.ts');
const TYPE = 'job';
const KEY: Key = { resource: 'job', operationId: '1' };
const HEARTBEAT_MS = 2_000;
const STEP_MS = 150;
/** How long a process may take to print a line on a busy machine. */
const SLACK_MS = 1_000;

/** A frozen process holds its connection open; only pings find it. */
const FINDS_FROZEN_CLIENTS = {
  LEASEHOLD_SERVER_KEEPALIVE_TIME: '1s',
  LEASEHOLD_SERVER_KEEPALIVE_TIMEOUT: '1s',
};

class Worker {
  readonly #child: ChildProcess;
  readonly lines: string[] = [];

  constructor(address: HostPort) {
    const args = [WORKER, formatHostPort(address), TYPE, String(STEP_MS)];
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let rest = '';
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      this.lines.push(...parts);
    });
    onTestFinished(() => this.signal('SIGKILL'));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await once(this.#child, 'exit');
  }

  /** Waits for a line that begins with this. */
  line(beginning: string, withinMs = 20_000): Promise<string> {
    const find = (): string | false => this.lines.find((line) => line.startsWith(beginning)) ?? false;
    return eventually(find, { what: `"${beginning}"`, withinMs, everyMs: 5 }) as Promise<string>; // never false
  }

  steps(): number[] {
    return this.lines.filter((line) => line.startsWith('step ')).map((line) => Number(line.slice(5)));
  }
}

function clientOf(address: HostPort): OperationClient {
  const client = new OperationClient(address);
  onTestFinished(() => client.close());
  return client;
}

async function begun(client: OperationClient): Promise<void> {
  const heartbeatTimeout = duration(HEARTBEAT_MS);
  const { created } = await client.begin({ ...KEY, type: TYPE, heartbeatTimeout, data: payload('job') });
  expect(created).toBe(true);
}

/** Together they did each step once, except for one that was recorded and whose line was not printed any more. */
function expectEachStep(former: Worker, next: Worker): void {
  const last = former.steps().at(-1) ?? 0;
  const [first = 0] = next.steps();
  expect(former.steps()).toEqual(Array.from({ length: last }, (_, index) => index + 1));
  expect([last + 1, last + 2]).toContain(first);
  expect(next.steps()).toEqual(Array.from({ length: 21 - first }, (_, index) => first + index));
}

test.each(STORE_KINDS)(
  'another worker goes on with the operation of a killed one within the heartbeat timeout, %s store',
  {
    timeout: 60_000,
  },
  async (kind) => {
    const rig = await startRig(kind);
    onTestFinished(() => rig.stop());
    const { address } = rig.instance;
    const client = clientOf(address);
    await begun(client);
    const former = new Worker(address);
    expect(await former.line('claimed')).toBe('claimed attempt 1 after step 0');
    const next = new Worker(address);
    await former.line('step 7');
    const killedMs = performance.now();
    await former.kill();
    const { operation, done } = await client.wait({ ...KEY, waitTimeout: duration(1) });
    expect([operation?.state, done]).toEqual([OperationState.OPERATION_STATE_RUNNING, false]);
    const line = await next.line('claimed attempt 2');
    const tookMs = performance.now() - killedMs;
    expect(tookMs).toBeLessThan(HEARTBEAT_MS + SKEW_ALLOWANCE_MS + 1_000 + SLACK_MS);
    expect(Number(line.split(' ').at(-1))).toBeGreaterThanOrEqual(7);
    await next.line('completed');
    expectEachStep(former, next);
    expect(await client.get(KEY)).toMatchObject({
      state: OperationState.OPERATION_STATE_SUCCEEDED,
      attemptNumber: 2,
      progress: payload('20'),
    });
  },
);

test.each(STORE_KINDS)(
  'a frozen worker loses its operation to another one, and is refused when it wakes, %s store',
  {
    timeout: 60_000,
  },
  async (kind) => {
    const rig = await startRig(kind, FINDS_FROZEN_CLIENTS);
    onTestFinished(() => rig.stop());
    const { address } = rig.instance;
    const client = clientOf(address);
    await begun(client);
    const former = new Worker(address);
    await former.line('claimed');
    const next = new Worker(address);
    await former.line('step 5');
    former.signal('SIGSTOP');
    await next.line('claimed attempt 2');
    await next.line('step 10');
    former.signal('SIGCONT');
    expect(await former.line('refused')).toBe('refused: STALE_ATTEMPT');
    expect(await former.line('lost')).toMatch(/^lost: (SUPERSEDED|FINISHED)$/);
    await next.line('completed');
    expectEachStep(former, next);
    expect(await client.get(KEY)).toMatchObject({ attemptNumber: 2, progress: payload('20') });
  },
);

// With `replicated`, one replica has what a worker was told. Sentinel chooses which of the two is promoted, so the test
// waits until both have it before it kills the primary.
test.each(['killed', 'frozen'] as const)(
  'another worker goes on after the quarantine when a worker is %s and the primary is killed',
  { timeout: 120_000 },
  async (fate) => {
    const maxTtlMs = 5_000;
    const cluster = await SentinelCluster.start({ masterName: 'mymaster' });
    onTestFinished(() => cluster.stop());
    const instance = await startInstance({
      ...clusterEnvironment(cluster, 'mymaster'),
      ...FINDS_FROZEN_CLIENTS,
      LEASEHOLD_REDIS_DURABILITY: 'replicated',
      LEASEHOLD_LOCKS_MAX_TTL: `${maxTtlMs}ms`,
      LEASEHOLD_LOCKS_DEFAULT_TTL: '2s',
    });
    onTestFinished(() => instance.stop());
    await eventually(() => instance.store.status().usable, { what: 'a usable store', withinMs: 10_000 });
    const { reign } = instance.store.status();
    const client = clientOf(instance.address);
    await begun(client);
    const former = new Worker(instance.address);
    await former.line('claimed');
    await former.line('step 7');
    if (fate === 'killed') await former.kill();
    else former.signal('SIGSTOP');
    const recorded = Number((await client.get(KEY)).progress?.value.toString());
    await cluster.waitUntilInSync(20_000);
    const primary = await cluster.primary();
    await primary.process.kill();
    const next = new Worker(instance.address);
    await eventually(() => ![reign, ''].includes(instance.store.status().reign), {
      what: 'a new reign',
      withinMs: 30_000,
    });
    const adoptedMs = performance.now();
    const line = await next.line('claimed', 60_000);
    const tookMs = performance.now() - adoptedMs;
    expect(line).toBe(`claimed attempt 2 after step ${recorded}`);
    expect(tookMs).toBeGreaterThan(quarantineMs(maxTtlMs) - 3_000);
    expect(tookMs).toBeLessThan(quarantineMs(maxTtlMs) + 6_000);
    if (fate === 'frozen') {
      former.signal('SIGCONT');
      expect(await former.line('refused')).toBe('refused: STALE_ATTEMPT');
      // EXPIRED if its deadline passed, with no primary there, before the pings found that it was frozen.
      expect(await former.line('lost')).toMatch(/^lost: (EXPIRED|SUPERSEDED|FINISHED)$/);
    }
    await next.line('completed');
    expectEachStep(former, next);
    expect(await client.get(KEY)).toMatchObject({
      state: OperationState.OPERATION_STATE_SUCCEEDED,
      attemptNumber: 2,
      progress: payload('20'),
    });
  },
);
