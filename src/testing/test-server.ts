// A server for the tests of users, `leasehold/testing`: the real server, in this process, on a free port, with its
// locks in memory and a clock that the test can send ahead.

import { pino } from 'pino';
import { type Client, type ClientOptions, createClient } from '../client/client.ts';
import { loadConfig } from '../config/load-config.ts';
import { formatHostPort } from '../domain/host-port.ts';
import { TimerGroup } from '../domain/timer-group.ts';
import { nodeVersionProblem } from '../node-version.ts';
import { serve } from '../server/instance.ts';
import { MemoryStore } from '../store/memory/memory-store.ts';
import { TestClock } from './test-clock.ts';

export { TestClock } from './test-clock.ts';

export interface TestServerOptions {
  /** The clock of another test server, so that both are sent ahead together; a new one by default. */
  readonly clock?: TestClock | undefined;
  /** Settings, by their names in the environment, such as LEASEHOLD_LOCKS_MAX_TTL. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

export interface TestServer extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
  readonly clock: TestClock;
  /** Makes a client on the clock of this server: both must agree on how much time has passed. `stop` closes it. */
  createClient(options?: Omit<ClientOptions, 'addresses' | 'clock'>): Client;
  /** Revokes the leases on a resource, as an administrator would: their holders hear it, and it is free at once. */
  forceRelease(resource: string): Promise<void>;
  /** Does what a failover of Redis does to callers: nothing is granted for a while (the quarantine), renewals go on. */
  failOver(): void;
  stop(): Promise<void>;
}

const SETTINGS = {
  LEASEHOLD_SERVER_ADDRESS: '127.0.0.1:0',
  LEASEHOLD_ADMIN_ADDRESS: 'off',
  LEASEHOLD_SERVER_REFLECTION: 'false',
  LEASEHOLD_LOG_LEVEL: 'fatal',
  LEASEHOLD_AUTH_ANONYMOUS_ADMIN: 'true',
  // A test doesn't wait for clients to move to another instance: it has none.
  LEASEHOLD_SERVER_DRAIN_TIMEOUT: '1s',
};

export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  // Without this, the server would start on Node.js 20, and die at the first renewal.
  const problem = nodeVersionProblem(process.versions.node);
  if (problem !== undefined) throw new Error(`leasehold/testing ${problem}`);
  const { clock = new TestClock(), settings = {} } = options;
  const config = loadConfig({ env: { ...SETTINGS, ...settings } });
  const timers = new TimerGroup(clock);
  const instance = await serve(config, pino({ level: config.log.level }), { clock: timers });
  const address = formatHostPort(instance.address);
  const clients = new Set<Client>();
  const connect = (more: Omit<ClientOptions, 'addresses' | 'clock'> = {}): Client => {
    const client = createClient({ ...more, addresses: address, clock });
    clients.add(client);
    return client;
  };
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    for (const client of clients) client.close();
    // Some of its timers bound what has ended by now; they would keep the process of the test for seconds.
    stopped ??= instance.stop().finally(() => timers.cancel());
    return stopped;
  };
  return {
    address,
    clock,
    createClient: connect,
    async forceRelease(resource) {
      using client = createClient({ addresses: address, clock });
      await client.locks.forceRelease(resource, { immediate: true, reason: 'a test asked for it' });
    },
    failOver() {
      if (instance.store instanceof MemoryStore) instance.store.beginReign();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
