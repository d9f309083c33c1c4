// A server with several processes, as a user starts it with --workers, and what tests ask of it: its server processes,
// connections to each of them, and the answers of its admin port.
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { expect, type TestContext } from 'vitest';
import type { HostPort } from '../../src/domain/host-port.ts';
import { CommandLine } from './command-line.ts';
import { eventually } from './eventually.ts';
import { RedisProcess } from './redis/redis-process.ts';
import { singleRedis } from './store-kinds.ts';
import { TestClient } from './test-instance.ts';

export interface WorkerLine {
  readonly worker: number;
  readonly pid: number;
  readonly instanceId: string;
}

export type AtEnd = TestContext['onTestFinished'];

export class WorkerRig {
  readonly server: CommandLine;
  readonly #atEnd: AtEnd;

  private constructor(server: CommandLine, atEnd: AtEnd) {
    this.server = server;
    this.#atEnd = atEnd;
  }

  /** Doesn't wait for the start: see `address`. */
  static start(atEnd: AtEnd, workers: number, overrides: Readonly<Record<string, string>>): WorkerRig {
    const server = CommandLine.serve({
      LEASEHOLD_SERVER_WORKERS: String(workers),
      LEASEHOLD_ADMIN_ADDRESS: '127.0.0.1:0',
      ...overrides,
    });
    atEnd(() => server.kill());
    return new WorkerRig(server, atEnd);
  }

  address(): Promise<HostPort> {
    return this.server.address();
  }

  /** The lines of the log with this message, in order. */
  lines(message: string): readonly Readonly<Record<string, unknown>>[] {
    return this.server.stdout
      .split('\n')
      .filter((line) => line.endsWith('}') && line.includes(message))
      .map((line) => JSON.parse(line) as Record<string, unknown>) // our own log
      .filter(({ msg }) => msg === message);
  }

  /** Every server process that has ever served, in order. */
  workers(): readonly WorkerLine[] {
    return this.lines('worker serving').map(({ worker, pid, instanceId }) => ({
      worker: Number(worker),
      pid: Number(pid),
      instanceId: String(instanceId),
    }));
  }

  /** A client with a connection of its own, which grpc-js would otherwise share with others to the same address. */
  connect(
    address: HostPort,
    channelCredentials: ChannelCredentials = credentials.createInsecure(),
    token?: string,
  ): TestClient {
    const own = { 'grpc.use_local_subchannel_pool': 1 };
    const client = new TestClient(address, channelCredentials, token, own);
    this.#atEnd(() => client.close());
    return client;
  }

  /** One client for each server process, over as many connections as it takes. */
  async connectToEach(address: HostPort, workers: number): Promise<ReadonlyMap<string, TestClient>> {
    const clients = new Map<string, TestClient>();
    await eventually(
      async () => {
        const client = this.connect(address);
        const { info } = await client.getServerInfo();
        if (info?.serving) clients.set(info.instanceId, client);
        return clients.size >= workers;
      },
      { what: `a connection to each of ${workers} server processes`, withinMs: 30_000 },
    );
    return clients;
  }

  /** The answer of the admin port. */
  async admin(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const [{ admin } = {}] = this.lines('serving');
    return getHttp(`http://${String(admin)}${path}`);
  }

  /** The value of a series, by its name and labels as they are written. */
  async metric(series: string): Promise<number | undefined> {
    const { text } = await this.admin('/metrics');
    const line = text.split('\n').find((one) => one.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length));
  }
}

export async function startedRedis(atEnd: AtEnd, directives: readonly string[] = []): Promise<RedisProcess> {
  const redis = await RedisProcess.server({ directives });
  atEnd(() => redis.stop());
  await redis.start();
  return redis;
}

/** Starts on an empty Redis of its own; returns when all server processes serve and grants are possible. */
export async function startedWorkers(
  atEnd: AtEnd,
  workers: number,
  overrides: Readonly<Record<string, string>> = {},
): Promise<{ readonly rig: WorkerRig; readonly address: HostPort; readonly redis: RedisProcess }> {
  const redis = await startedRedis(atEnd);
  const rig = WorkerRig.start(atEnd, workers, { ...singleRedis(redis), ...overrides });
  const address = await rig.address();
  await eventually(() => rig.lines('primary in use').length >= workers, {
    what: `a primary in use by all of ${rig.server}`,
    withinMs: 30_000,
  });
  return { rig, address, redis };
}

export function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Whether the process runs no longer, even if its parent hasn't waited for it. Reads /proc, which only Linux has. */
export function hasEnded(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}

export async function gone(pids: readonly number[]): Promise<void> {
  expect(pids.length).toBeGreaterThan(0);
  await eventually(() => !pids.some(lives), { what: `the end of processes ${pids}`, withinMs: 30_000 });
}

// An agent of its own leaves no connection open that would keep the admin port from closing.
export function getHttp(url: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    request(url, { agent: false, timeout: 5_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    })
      .on('error', reject)
      .end();
  });
}
