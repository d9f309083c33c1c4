// `npm run bench`: what an uncontended Acquire and Release cost over gRPC, against their floor (floor-server.ts) in the
// same run and on the same Redis. Owns the rounds, the medians and the table; see bench/README.md.
//
//   node bench/acquire.ts [--quick] [--sentinel] [--replicated]
//
// With --replicated, the other one is the same server with asynchronous durability, both on a Sentinel deployment.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ChildServer, LEASEHOLD } from '../scripts/demo/child-server.ts';
import { formatHostPort, type HostPort } from '../src/domain/host-port.ts';
import { clusterEnvironment, testEnvironment } from '../test/support/instance.ts';
import { describeRuntime, findRedis } from '../test/support/redis/find-redis.ts';
import { RedisProcess } from '../test/support/redis/redis-process.ts';
import { SentinelCluster } from '../test/support/redis/sentinel-cluster.ts';
import type { Load, LoadOrder } from './load-generator.ts';

const CALLERS = [1, 16, 64, 256];
const MASTER_NAME = 'bench';

interface Sample extends Load {
  readonly cyclesPerSecond: number;
  /** Of the server's process, both calls alike. */
  readonly cpuUsPerCall: number;
}

const COLUMNS: readonly { readonly title: string; readonly of: (sample: Sample) => number }[] = [
  { title: 'cycles/s', of: (sample) => sample.cyclesPerSecond },
  { title: 'acquire p50', of: (sample) => sample.acquireP50Ms },
  { title: 'p99 ms', of: (sample) => sample.acquireP99Ms },
  { title: 'release p50', of: (sample) => sample.releaseP50Ms },
  { title: 'p99 ms', of: (sample) => sample.releaseP99Ms },
  { title: 'CPU us/call', of: (sample) => sample.cpuUsPerCall },
];

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    sentinel: { type: 'boolean', default: false },
    replicated: { type: 'boolean', default: false },
  },
});
const onSentinel = options.sentinel || options.replicated;
const rounds = options.quick ? 3 : 7;
const forMs = options.quick ? 1_500 : 4_000;
const warmUpMs = options.quick ? 2_000 : 5_000;
const ending: (() => Promise<unknown> | unknown)[] = [];

async function bench(): Promise<void> {
  const { redis, environment } = await startRedis();
  const nodeArguments = ['--import', join(import.meta.dirname, 'report-cpu.ts')];
  const start = async (script: readonly string[], env: Record<string, string>): Promise<ChildServer> => {
    const server = await ChildServer.start({ script, environment: env, nodeArguments });
    ending.push(() => server.stop());
    return server;
  };
  const asynchronous = { ...testEnvironment({ LEASEHOLD_LOG_LEVEL: 'info' }), ...environment };
  const durability = options.replicated ? { LEASEHOLD_REDIS_DURABILITY: 'replicated' } : {};
  const leasehold = await start(LEASEHOLD, { ...asynchronous, ...durability });
  const floor = options.replicated
    ? await start(LEASEHOLD, asynchronous)
    : await start([join(import.meta.dirname, 'floor-server.ts')], { FLOOR_REDIS_PORT: String(redis.port) });
  const names = options.replicated ? ['replicated', 'async'] : ['leasehold', 'floor'];
  const generator = fork(join(import.meta.dirname, 'load-generator.ts'));
  ending.push(() => generator.kill());

  const [cpu] = cpus();
  console.log(`Acquire and Release, uncontended: ${names.join(' against ')}

  machine   ${cpus().length} x ${cpu?.model.trim() ?? 'unknown'}, load average ${loadavg()[0]?.toFixed(2)} before
  Node      ${process.versions.node}
  Redis     ${describeRuntime(await findRedis())}, ${onSentinel ? 'with two replicas and three Sentinels' : 'alone'}
  rounds    ${rounds} of ${forMs / 1_000} s each, the two in turn; medians
`);
  for (const server of [leasehold, floor]) await sample(generator, server, 64, warmUpMs);
  console.log(`  callers  ${''.padEnd(10)}  ${COLUMNS.map(({ title }) => title.padStart(11)).join('  ')}`);
  for (const callers of CALLERS) {
    const pairs: { readonly ours: Sample; readonly floor: Sample }[] = [];
    for (let round = 0; round < rounds; round++) {
      const ours = await sample(generator, leasehold, callers, forMs);
      pairs.push({ ours, floor: await sample(generator, floor, callers, forMs) });
    }
    const medians = (value: (pair: { ours: Sample; floor: Sample }, of: (s: Sample) => number) => number) =>
      COLUMNS.map(({ of }) => median(pairs.map((pair) => value(pair, of))));
    row(
      String(callers),
      names[0] ?? '',
      medians(({ ours }, of) => of(ours)),
    );
    row(
      '',
      names[1] ?? '',
      medians(({ floor: other }, of) => of(other)),
    );
    row(
      '',
      'ratio',
      medians(({ ours, floor: other }, of) => of(ours) / of(other)),
    );
  }
}

async function startRedis(): Promise<{ redis: HostPort; environment: Record<string, string> }> {
  if (onSentinel) {
    const cluster = await SentinelCluster.start({ masterName: MASTER_NAME });
    ending.push(() => cluster.stop());
    return {
      redis: (await cluster.primary()).address,
      environment: clusterEnvironment(cluster, MASTER_NAME),
    };
  }
  const redis = await RedisProcess.server();
  ending.push(() => redis.stop());
  await redis.start();
  const address = formatHostPort(redis.listens);
  return {
    redis: redis.listens,
    environment: { LEASEHOLD_REDIS_ADDRESS: address, LEASEHOLD_REDIS_BOOTSTRAP: 'new' },
  };
}

async function sample(
  generator: ChildProcess,
  server: ChildServer,
  callers: number,
  ms: number,
): Promise<Sample> {
  const order: LoadOrder = { address: formatHostPort(server.address), callers, forMs: ms };
  const cpuBefore = await ask<number>(server.process, 'cpu');
  const load = await ask<Load>(generator, order);
  const cpuUs = (await ask<number>(server.process, 'cpu')) - cpuBefore;
  return {
    ...load,
    cyclesPerSecond: (load.cycles / load.tookMs) * 1_000,
    cpuUsPerCall: cpuUs / (2 * load.cycles),
  };
}

/** Sends a message and resolves with the answer; rejects when the process ends instead. */
async function ask<Answer>(child: ChildProcess, message: object | string): Promise<Answer> {
  const over = new AbortController();
  const { signal } = over;
  try {
    const answered = once(child, 'message', { signal });
    const ended = once(child, 'exit', { signal }).then(() => {
      throw new Error('a process of the benchmark has ended by itself');
    });
    child.send(message);
    const [answer] = await Promise.race([answered, ended]);
    return answer as Answer; // our own processes; each has one kind of answer
  } finally {
    over.abort();
  }
}

function row(callers: string, name: string, numbers: readonly number[]): void {
  const cells = numbers.map((number) => number.toFixed(number >= 1_000 ? 0 : 2).padStart(11));
  console.log(`  ${callers.padStart(7)}  ${name.padEnd(10)}  ${cells.join('  ')}`);
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 ? high : ((sorted[middle - 1] ?? high) + high) / 2;
}

const interrupted = new Promise<never>((_, reject) => {
  process.once('SIGINT', () => reject(new Error('interrupted')));
});
try {
  await Promise.race([bench(), interrupted]);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
for (const stop of ending.toReversed()) await stop();
process.exit();
