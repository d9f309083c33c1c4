// One Redis server or Sentinel that a test can start, stop, freeze, kill and start again on the same port. Owns its
// life and the connections that look at it; a cluster or a partition that it is part of is elsewhere.
import { Redis } from 'ioredis';
import { eventually } from '../eventually.ts';
import { freePort } from '../ports.ts';
import { DockerInstance } from './docker-instance.ts';
import { findRedis } from './find-redis.ts';
import { NativeInstance } from './native-instance.ts';
import {
  type Address,
  type RedisAuth,
  type SentinelConfigOptions,
  type ServerConfigOptions,
  sentinelConfig,
  serverConfig,
} from './redis-config.ts';
import type { RedisInstance } from './redis-instance.ts';

const READY_WITHIN_MS = 60_000;
// Redis waits up to 10 s for its replicas before it ends.
const SHUTDOWN_WITHIN_MS = 15_000;

let startedCount = 0;

interface Listening {
  /** Loopback address to listen on; 127.0.0.1 when not given. */
  readonly host?: string;
  /** A free port when not given. */
  readonly port?: number;
  /** More environment variables of the process; a container does not get them. */
  readonly environment?: Readonly<Record<string, string>>;
}

export class RedisProcess {
  /** Where it listens. Behind a proxy of a cluster, others are told another address. */
  readonly listens: Address;
  readonly auth: RedisAuth | undefined;
  readonly #instance: RedisInstance;
  readonly #clients = new Set<Redis>();

  private constructor(listens: Address, auth: RedisAuth | undefined, instance: RedisInstance) {
    this.listens = listens;
    this.auth = auth;
    this.#instance = instance;
  }

  /** A server that isn't started yet. */
  static async server(options: ServerConfigOptions & Listening = {}): Promise<RedisProcess> {
    const listens = await listening(options);
    const instance = await newInstance('server', listens.port, serverConfig(listens, options), options);
    return new RedisProcess(listens, options.auth, instance);
  }

  /** A Sentinel that isn't started yet. */
  static async sentinel(options: SentinelConfigOptions & Listening): Promise<RedisProcess> {
    const listens = await listening(options);
    const instance = await newInstance('sentinel', listens.port, sentinelConfig(listens, options), options);
    return new RedisProcess(listens, options.auth, instance);
  }

  /** Starts it and returns when it answers PING. */
  async start(): Promise<void> {
    await this.#instance.start();
    await this.ready();
  }

  /** Waits until it answers PING. */
  async ready(): Promise<void> {
    let hasEnded = false;
    try {
      await eventually(
        async () => {
          hasEnded = !(await this.#instance.isRunning());
          return hasEnded || (await this.#answersPing());
        },
        { what: `an answer from ${this}`, withinMs: READY_WITHIN_MS, everyMs: 10 },
      );
    } catch (error) {
      throw new Error(`${this} doesn't answer. Its log ends:\n${await this.#endOfLog()}`, { cause: error });
    }
    if (hasEnded) throw new Error(`${this} has ended. Its log ends:\n${await this.#endOfLog()}`);
  }

  isRunning(): Promise<boolean> {
    return this.#instance.isRunning();
  }

  /** A crash (SIGKILL). Returns when it is gone. */
  async kill(): Promise<void> {
    await this.#instance.signal('SIGKILL');
    await this.#instance.ended();
  }

  /** Freezes it (SIGSTOP): the kernel still accepts connections and bytes for it. */
  pause(): Promise<void> {
    return this.#instance.signal('SIGSTOP');
  }

  resume(): Promise<void> {
    return this.#instance.signal('SIGCONT');
  }

  /** An orderly end (SIGTERM), as an operator causes it. Its data stay for `restart`. */
  async shutDown(): Promise<void> {
    await this.#instance.signal('SIGTERM');
    let hasEnded = false;
    const ended = this.#instance.ended().then(() => {
      hasEnded = true;
    });
    try {
      await eventually(() => hasEnded, { what: `the end of ${this}`, withinMs: SHUTDOWN_WITHIN_MS });
    } catch {
      await this.kill();
    }
    await ended;
  }

  /**
   * Starts it again on the same port, after an orderly end if it still runs: with the data on its disk, if it keeps
   * any, or empty. Its rewritten configuration says what role it has.
   */
  async restart({ empty = false }: { readonly empty?: boolean } = {}): Promise<void> {
    if (await this.#instance.isRunning()) await this.shutDown();
    if (empty) await this.#instance.wipe();
    await this.start();
  }

  /** Copies the data on its disk aside, as they are now. Throws where it runs in a container. */
  keepData(): Promise<void> {
    return this.#instance.keepData();
  }

  /** Starts it again after a crash, with the data that were kept: a backup, or a file of long ago. */
  async restartFromKept(): Promise<void> {
    await this.kill();
    await this.#instance.restoreData();
    await this.start();
  }

  /** Ends it at once and removes its data. The connections of `client()` are closed. */
  async stop(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    this.#clients.clear();
    await this.#instance.dispose();
  }

  /** A connection with which a test looks at it, past any proxy. `stop()` closes it; it doesn't reconnect. */
  client(): Redis {
    const client = new Redis({
      ...this.listens,
      ...(this.auth?.username === undefined ? {} : { username: this.auth.username }),
      ...(this.auth === undefined ? {} : { password: this.auth.password }),
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      enableReadyCheck: false,
      connectTimeout: 5_000,
      commandTimeout: 5_000,
    });
    // Commands report their own failures; without a listener each lost connection would print the event.
    client.on('error', () => undefined);
    client.once('end', () => this.#clients.delete(client));
    this.#clients.add(client);
    return client;
  }

  /** Runs `use` with a connection that is closed afterwards. */
  async withClient<T>(use: (client: Redis) => Promise<T>): Promise<T> {
    const client = this.client();
    try {
      return await use(client);
    } finally {
      client.disconnect();
    }
  }

  /** One section of INFO as fields. */
  async info(section: string): Promise<ReadonlyMap<string, string>> {
    const text = await this.withClient((client) => client.info(section));
    const fields = text.split('\r\n').filter((line) => line.includes(':') && !line.startsWith('#'));
    return new Map(
      fields.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
    );
  }

  log(): Promise<string> {
    return this.#instance.log();
  }

  toString(): string {
    return `Redis at ${this.listens.host}:${this.listens.port}`;
  }

  async #answersPing(): Promise<boolean> {
    return (await this.withClient((client) => client.ping())) === 'PONG';
  }

  async #endOfLog(): Promise<string> {
    return (await this.log()).split('\n').slice(-15).join('\n');
  }
}

async function listening({ host = '127.0.0.1', port }: Listening): Promise<Address> {
  return { host, port: port ?? (await freePort(host)) };
}

async function newInstance(
  role: 'server' | 'sentinel',
  port: number,
  config: string,
  { environment = {} }: Listening,
): Promise<RedisInstance> {
  startedCount += 1;
  const spec = {
    name: `${role}-${port}-${startedCount}`,
    config,
    isSentinel: role === 'sentinel',
    environment,
  };
  const runtime = await findRedis();
  return runtime.mode === 'docker' ? new DockerInstance(runtime, spec) : new NativeInstance(runtime, spec);
}
