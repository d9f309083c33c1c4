// The servers, proxies and Redis of a scenario. Owns their start, their repair after each scenario, and their end. The
// verbs that act on them are in play.ts.
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';
import { eventually } from '../../test/support/eventually.ts';
import { Http2Proxy } from '../../test/support/http2-proxy.ts';
import { OperationClient } from '../../test/support/operation-client.ts';
import { freePort } from '../../test/support/ports.ts';
import { RedisProcess } from '../../test/support/redis/redis-process.ts';
import { SentinelCluster } from '../../test/support/redis/sentinel-cluster.ts';
import { ServerProcess } from '../../test/support/server-process.ts';
import { singleRedis } from '../../test/support/store-kinds.ts';
import { TcpProxy } from '../../test/support/tcp-proxy.ts';
import { clusterEnvironment, TestClient } from '../../test/support/test-instance.ts';
import type { Needs } from './client-scenario.ts';

export const TLS_FOLDER = join(import.meta.dirname, '../../test/support/tls');
const TOKENS = 'runner client the-token-of-a-client\nroot admin the-token-of-an-administrator\n';
/** What the scenarios of these surroundings give to their clients, too. */
const FEW_STREAMS = 5;
const STORE_WITHIN_MS = 60_000;
const FAILOVER_WITHIN_MS = 30_000;

/** One server behind a proxy, which can be ended and started again on its port. */
class Seat {
  readonly direct: HostPort;
  readonly proxy: TcpProxy;
  readonly client: TestClient;
  readonly operations: OperationClient;
  readonly #environment: Readonly<Record<string, string>>;
  #server: ServerProcess | undefined;

  private constructor(direct: HostPort, proxy: TcpProxy, environment: Readonly<Record<string, string>>) {
    this.direct = direct;
    this.proxy = proxy;
    this.#environment = { ...environment, LEASEHOLD_SERVER_ADDRESS: formatHostPort(direct) };
    this.client = new TestClient(direct, credentials.createInsecure());
    this.operations = new OperationClient(direct);
  }

  static async start(environment: Readonly<Record<string, string>>): Promise<Seat> {
    const direct = { host: '127.0.0.1', port: await freePort() };
    const seat = new Seat(direct, await TcpProxy.start({ target: direct }), environment);
    await seat.start();
    return seat;
  }

  async start(): Promise<void> {
    this.#server ??= await ServerProcess.start({ environment: this.#environment });
  }

  async end(how: 'kill' | 'stop'): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await (how === 'kill' ? server?.kill() : server?.stop());
  }

  async grants(): Promise<void> {
    const info = async () => (await this.client.getServerInfo()).info;
    await eventually(
      async () => {
        const now = await info();
        return now?.serving === true && now.quarantineRemaining === undefined;
      },
      { what: 'a server that grants', withinMs: STORE_WITHIN_MS, everyMs: 100 },
    );
  }

  async close(): Promise<void> {
    this.client.close();
    this.operations.close();
    await this.proxy.close();
    await this.end('kill');
  }
}

export class Surroundings {
  readonly #seats: ReadonlyMap<string, Seat>;
  readonly #http: Server;
  /** In front of the first server, beside its other proxy, which knows nothing of HTTP/2. */
  readonly http2: Http2Proxy;
  readonly #addresses: ReadonlyMap<string, string>;
  readonly #redis: RedisProcess | undefined;
  readonly cluster: SentinelCluster | undefined;

  private constructor(
    seats: ReadonlyMap<string, Seat>,
    http: Server,
    http2: Http2Proxy,
    addresses: ReadonlyMap<string, string>,
    store: { readonly redis?: RedisProcess; readonly cluster?: SentinelCluster },
  ) {
    this.#seats = seats;
    this.#http = http;
    this.http2 = http2;
    this.#addresses = addresses;
    this.#redis = store.redis;
    this.cluster = store.cluster;
  }

  static async start(needs: Needs): Promise<Surroundings> {
    const store = await storeFor(needs);
    const environment = { LEASEHOLD_AUTH_ANONYMOUS_ADMIN: 'true', ...store.environment };
    const names = needs === 'two servers' || needs === 'sentinel' ? ['first', 'second'] : ['first'];
    const seats = new Map<string, Seat>();
    for (const name of names) seats.set(name, await Seat.start(environment));
    const http = createServer((_request, response) => response.end('this is not a gRPC server'));
    const [httpPort, nobody] = [await freePort(), await freePort()];
    await new Promise<void>((resolve) => http.listen(httpPort, '127.0.0.1', resolve));
    const direct = seats.get('first')?.direct ?? { host: '', port: 0 };
    const http2 = await Http2Proxy.start(direct);
    const addresses = new Map([
      ...[...seats].map(([name, { proxy }]): [string, string] => [name, formatHostPort(proxy)]),
      ['direct', formatHostPort(direct)],
      ['http2', formatHostPort(http2.address)],
      ['nobody', `127.0.0.1:${nobody}`],
      ['http', `127.0.0.1:${httpPort}`],
    ]);
    const surroundings = new Surroundings(seats, http, http2, addresses, store);
    // Servers that require a token or TLS are not asked: their store is the embedded one, which grants at once.
    if (needs !== 'tls' && needs !== 'tokens') for (const seat of seats.values()) await seat.grants();
    return surroundings;
  }

  /** Where clients reach the named servers, or all servers if none is named. */
  addresses(names?: readonly string[]): string[] {
    return (names ?? [...this.#seats.keys()]).map((name) => {
      const address = this.#addresses.get(name);
      if (address === undefined) throw new Error(`there is no ${name} to connect to`);
      return address;
    });
  }

  seat(name: string): Seat {
    const seat = this.#seats.get(name);
    if (!seat) throw new Error(`there is no server ${name}`);
    return seat;
  }

  /** Prepares for the next scenario: all servers run, and all proxies pass everything on. */
  async repair(): Promise<void> {
    this.http2.allCalls = undefined;
    for (const seat of this.#seats.values()) {
      seat.proxy.heal();
      await seat.proxy.accept();
      await seat.start();
    }
  }

  async failover(): Promise<void> {
    if (!this.cluster) throw new Error('this scenario has no Sentinel');
    const old = await this.cluster.primary();
    await old.process.kill();
    await this.cluster.waitForNewPrimary(old, FAILOVER_WITHIN_MS);
  }

  async stop(): Promise<void> {
    this.#http.closeAllConnections();
    this.#http.close();
    this.http2.stop();
    for (const seat of this.#seats.values()) await seat.close();
    await this.#redis?.stop();
    await this.cluster?.stop();
  }
}

async function storeFor(needs: Needs): Promise<{
  readonly environment: Record<string, string>;
  readonly redis?: RedisProcess;
  readonly cluster?: SentinelCluster;
}> {
  switch (needs) {
    case 'one server':
      return { environment: {} };
    case 'few streams':
      return { environment: { LEASEHOLD_SERVER_MAX_CONCURRENT_STREAMS: `${FEW_STREAMS}` } };
    case 'tokens': {
      const file = join(tmpdir(), `leasehold-tokens-${randomUUID()}`);
      writeFileSync(file, TOKENS, { mode: 0o600 });
      return { environment: { LEASEHOLD_AUTH_TOKENS_FILE: file, LEASEHOLD_AUTH_ANONYMOUS_ADMIN: 'false' } };
    }
    case 'tls':
      return {
        environment: {
          LEASEHOLD_SERVER_TLS_CERT_FILE: join(TLS_FOLDER, 'server.crt'),
          LEASEHOLD_SERVER_TLS_KEY_FILE: join(TLS_FOLDER, 'server.key'),
        },
      };
    case 'two servers': {
      const redis = await RedisProcess.server();
      await redis.start();
      return { environment: singleRedis(redis), redis };
    }
    case 'sentinel': {
      // Twice the time between two pings of a Sentinel: with less, it may declare the next primary dead, too.
      const cluster = await SentinelCluster.start({ masterName: 'clients', downAfterMs: 2_000 });
      const environment = {
        ...clusterEnvironment(cluster, 'clients'),
        LEASEHOLD_REDIS_DURABILITY: 'replicated',
      };
      return { environment, cluster };
    }
  }
}
