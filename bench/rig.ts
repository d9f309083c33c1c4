// What scenarios measure with: Redis or a Sentinel deployment, servers and the load generator, each in a process of its
// own; `close` ends them all. Owns the processes and the questions to them, but no scenario.
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { formatHostPort } from '../src/domain/host-port.ts';
import { eventually } from '../test/support/eventually.ts';
import { RedisProcess } from '../test/support/redis/redis-process.ts';
import { SentinelCluster } from '../test/support/redis/sentinel-cluster.ts';
import { LEASEHOLD, ServerProcess } from '../test/support/server-process.ts';
import { clusterEnvironment, duration, TestClient } from '../test/support/test-instance.ts';
import type { LoadOrder } from './load-order.ts';
import { EtcdCluster } from './peers/etcd-cluster.ts';
import { EtcdServer } from './peers/etcd-server.ts';
import type { Program } from './peers/installed.ts';
import type { Usage, UsageQuestion } from './probe.ts';

const MASTER_NAME = 'bench';
const FLOOR = join(import.meta.dirname, 'floor-server.ts');
const LADDER = join(import.meta.dirname, 'ladder-server.ts');
const WATCH_FLOOR = join(import.meta.dirname, 'watch-floor-server.ts');
/** Longer than a full quarantine. */
const ANSWERS_WITHIN_MS = 90_000;
const PROBE = ['--expose-gc', '--import', join(import.meta.dirname, 'probe.ts')];

/** A Redis for one scenario, and the environment that makes a server use it. */
export interface Backend {
  readonly redis: RedisProcess;
  readonly environment: Readonly<Record<string, string>>;
}

export interface RedisUsage {
  readonly cpuUs: number;
  /** Includes the commands that scripts run. */
  readonly commands: number;
  readonly memoryBytes: number;
}

export class Rig {
  readonly #ending: (() => Promise<unknown> | unknown)[] = [];

  /** `directives` are more lines of its configuration. */
  async redis(directives: readonly string[] = []): Promise<Backend> {
    const redis = await RedisProcess.server({ directives });
    this.#ending.push(() => redis.stop());
    await redis.start();
    const address = formatHostPort(redis.listens);
    return {
      redis,
      environment: {
        LEASEHOLD_REDIS_ADDRESS: address,
        LEASEHOLD_REDIS_BOOTSTRAP: 'new',
        LEASEHOLD_REDIS_ROLL_CALL: 'on',
      },
    };
  }

  /** A replica of it, in sync. */
  async replicaOf({ redis }: Backend): Promise<void> {
    const replica = await RedisProcess.server({ replicaOf: redis.listens });
    this.#ending.push(() => replica.stop());
    await replica.start();
    await eventually(async () => (await replica.info('replication')).get('master_link_status') === 'up', {
      what: 'a replica in sync',
      withinMs: 30_000,
    });
  }

  async sentinel(downAfterMs = 1_000): Promise<Backend & { readonly cluster: SentinelCluster }> {
    const cluster = await SentinelCluster.start({ masterName: MASTER_NAME, downAfterMs });
    this.#ending.push(() => cluster.stop());
    const { process } = await cluster.primary();
    return {
      redis: process,
      environment: { ...clusterEnvironment(cluster, MASTER_NAME), LEASEHOLD_REDIS_ROLL_CALL: 'on' },
      cluster,
    };
  }

  leasehold(
    { environment }: Backend,
    more: Readonly<Record<string, string>> = {},
    script: readonly string[] = LEASEHOLD,
  ): Promise<ServerProcess> {
    return this.#server(script, { ...environment, ...more });
  }

  /**
   * Several of one deployment, when all of them answer: with the roll call, a newcomer beside others waits first. They
   * start at once, so that they wait together.
   */
  async leaseholds(
    backend: Backend,
    settings: readonly Readonly<Record<string, string>>[],
  ): Promise<readonly ServerProcess[]> {
    const servers = await Promise.all(settings.map((more) => this.leasehold(backend, more)));
    await Promise.all(servers.map(answers));
    return servers;
  }

  floor({ redis }: Backend): Promise<ServerProcess> {
    return this.#server([FLOOR], { FLOOR_REDIS_PORT: String(redis.listens.port) });
  }

  /** A server that answers and does nothing else. */
  answering(by: 'http2' | 'echo'): Promise<ServerProcess> {
    return this.#server([LADDER, by], {});
  }

  async etcd(program: Program): Promise<EtcdServer> {
    const server = await EtcdServer.start(program);
    this.#ending.push(() => server.stop());
    return server;
  }

  async etcdCluster(program: Program): Promise<EtcdCluster> {
    const cluster = await EtcdCluster.start(program);
    this.#ending.push(() => cluster.stop());
    return cluster;
  }

  watchFloor(): Promise<ServerProcess> {
    return this.#server([WATCH_FLOOR], {});
  }

  generator(): LoadGenerator {
    // A percentile of nothing is NaN, which JSON would make null.
    const child = fork(join(import.meta.dirname, 'load-generator.ts'), {
      execArgv: [],
      serialization: 'advanced',
    });
    this.#ending.push(() => child.kill());
    return new LoadGenerator(child);
  }

  async close(): Promise<void> {
    for (const end of this.#ending.toReversed()) await end();
    this.#ending.length = 0;
  }

  async #server(script: readonly string[], environment: Record<string, string>): Promise<ServerProcess> {
    const server = await ServerProcess.start({ script, environment, nodeArguments: PROBE });
    this.#ending.push(() => server.stop());
    return server;
  }
}

/** Waits until a server grants a lock. */
export async function answers({ address }: ServerProcess): Promise<void> {
  const client = new TestClient(address);
  try {
    const spec = { owner: 'bench', ttl: duration(1_000) };
    await eventually(
      () => client.acquire({ ...spec, resource: `answers/${randomUUID()}` }, undefined, 1_000),
      {
        what: 'a first grant',
        withinMs: ANSWERS_WITHIN_MS,
        everyMs: 10,
      },
    );
  } finally {
    client.close();
  }
}

export class LoadGenerator {
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  order<Seen>(order: LoadOrder): Promise<Seen> {
    return ask<Seen>(this.#child, order);
  }

  /** Ends it before the scenario does, which frees its memory and CPU for the next one. */
  async close(): Promise<void> {
    const ended = once(this.#child, 'exit');
    if (!this.#child.kill()) return; // it ended by itself
    await ended;
  }
}

export function usageOf(server: ServerProcess, question: UsageQuestion = 'usage'): Promise<Usage> {
  return ask<Usage>(server.process, question);
}

export async function redisUsage({ redis }: Backend): Promise<RedisUsage> {
  const [cpu, stats, memory] = await Promise.all(['cpu', 'stats', 'memory'].map((part) => redis.info(part)));
  const seconds = Number(cpu?.get('used_cpu_user')) + Number(cpu?.get('used_cpu_sys'));
  return {
    cpuUs: seconds * 1e6,
    commands: Number(stats?.get('total_commands_processed')),
    memoryBytes: Number(memory?.get('used_memory')),
  };
}

/** Sends a message and resolves with the answer; rejects if the process ends instead. */
async function ask<Answer>(child: ChildProcess, message: LoadOrder | UsageQuestion): Promise<Answer> {
  const over = new AbortController();
  const { signal } = over;
  try {
    const answered = once(child, 'message', { signal });
    const ended = once(child, 'exit', { signal }).then(() => {
      throw new Error('a process of the benchmark has ended by itself');
    });
    child.send(message);
    const [answer] = await Promise.race([answered, ended]);
    return answer as Answer; // they are our own processes, and each kind of question has one kind of answer
  } finally {
    over.abort();
  }
}
