// A Leasehold instance of a run: a process on a port that stays its own through restarts, behind a proxy towards the
// clients. Owns the processes that serve there one after the other, and the questions to them.

import { join } from 'node:path';
import { credentials, Metadata } from '@grpc/grpc-js';
import type { Lock } from '../../../generated/leasehold/v1/lock.ts';
import { ListLocksRequest, LockServiceClient } from '../../../generated/leasehold/v1/lock_service.ts';
import type { ServerInfo } from '../../../generated/leasehold/v1/server_info.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { testEnvironment } from '../../support/test-instance.ts';
import type { Party } from './network.ts';
import { NodeProcess } from './node-process.ts';
import { ProcessSeat } from './process-seat.ts';

const ROOT = join(import.meta.dirname, '../../..');
const SOURCE_ADDRESS_MODULE = join(ROOT, 'test/support/redis/source-address.ts');
const HOST = '127.0.0.1';
const SERVES_WITHIN_MS = 30_000;
/** A newcomer's wait, and a failover that begins just then. */
const ANSWERS_WITHIN_MS = 45_000;
const ENDS_WITHIN_MS = 20_000;
const ASKED_FOR_MS = 1_000;

export interface ServerOptions {
  readonly name: string;
  readonly sourceAddress: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly preload: readonly string[];
  readonly folder: string;
  readonly onCrash: (what: string) => void;
}

export class ServerTarget extends ProcessSeat implements Party {
  readonly name: string;
  readonly sourceAddress: string;
  readonly proxy: TcpProxy;
  readonly #options: ServerOptions;
  readonly #port: number;
  readonly #adminPort: number;
  readonly #stub: LockServiceClient;

  private constructor(options: ServerOptions, port: number, adminPort: number, proxy: TcpProxy) {
    super(ENDS_WITHIN_MS);
    this.name = options.name;
    this.sourceAddress = options.sourceAddress;
    this.proxy = proxy;
    this.#options = options;
    this.#port = port;
    this.#adminPort = adminPort;
    this.#stub = new LockServiceClient(`${HOST}:${port}`, credentials.createInsecure(), {
      'grpc.enable_retries': 0,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 200,
    });
  }

  static async place(options: ServerOptions): Promise<ServerTarget> {
    const [port, adminPort] = [await freePort(HOST), await freePort(HOST)];
    const proxy = await TcpProxy.start({ target: { host: HOST, port } });
    return new ServerTarget(options, port, adminPort, proxy);
  }

  /** The address that clients are given. */
  get address(): string {
    return `${this.proxy.host}:${this.proxy.port}`;
  }

  /** Starts a process and returns when it serves. Adds `environment` to what every process of it has. */
  async start(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const { name, sourceAddress, preload, folder, onCrash } = this.#options;
    const process = NodeProcess.start({
      name,
      script: join(ROOT, 'src/main.ts'),
      args: ['serve'],
      preload: [SOURCE_ADDRESS_MODULE, ...preload],
      environment: {
        ...testEnvironment({ LEASEHOLD_LOG_LEVEL: 'info' }),
        ...this.#options.environment,
        ...environment,
        LEASEHOLD_SERVER_ADDRESS: `${HOST}:${this.#port}`,
        LEASEHOLD_ADMIN_ADDRESS: `${HOST}:${this.#adminPort}`,
        LEASEHOLD_TEST_SOURCE_ADDRESS: sourceAddress,
      },
      logFile: join(folder, `${name}.log`),
      onCrash,
    });
    this.process = process;
    const serves = (): boolean => !process.isRunning || process.printed().includes('"msg":"serving"');
    await eventually(serves, { what: `${name} serving`, withinMs: SERVES_WITHIN_MS });
    if (!process.isRunning) throw new Error(`${name} did not start: ${process.lastWords()}`);
  }

  /**
   * Waits until it answers calls: a newcomer doesn't for a while, and neither does one that finds no primary. Throws
   * where that takes too long.
   */
  async answers(): Promise<void> {
    await eventually(async () => answersCalls(await this.info()), {
      what: `answers of ${this.name}`,
      withinMs: ANSWERS_WITHIN_MS,
    });
  }

  /** Asked past the network; undefined where it doesn't answer within a second. */
  info(): Promise<ServerInfo | undefined> {
    return new Promise((resolve) => {
      const deadline = Date.now() + ASKED_FOR_MS;
      this.#stub.getServerInfo({}, new Metadata(), { deadline }, (error, response) => {
        resolve(error ? undefined : response.info);
      });
    });
  }

  /**
   * All locks, asked past the network; undefined where it doesn't answer within a second. They are few enough for one
   * page.
   */
  locks(): Promise<readonly Lock[] | undefined> {
    return new Promise((resolve) => {
      const deadline = Date.now() + ASKED_FOR_MS;
      this.#stub.listLocks(
        ListLocksRequest.fromPartial({}),
        new Metadata(),
        { deadline },
        (error, response) => {
          resolve(error ? undefined : response.locks);
        },
      );
    });
  }

  /** The values of its metrics without labels. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const response = await fetch(`http://${HOST}:${this.#adminPort}/metrics`, {
      signal: AbortSignal.timeout(5_000),
    });
    const lines = (await response.text()).split('\n').filter((line) => /^\w+ \S+$/.test(line));
    return new Map(lines.map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]));
  }

  async close(): Promise<void> {
    await this.kill();
    this.#stub.close();
    await this.proxy.close();
  }
}

function answersCalls(info: ServerInfo | undefined): boolean {
  return info?.serving === true && info.rollCall?.newcomerRemaining === undefined;
}
