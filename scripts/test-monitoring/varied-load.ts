// Callers that together do everything that a panel of the dashboard counts: locks in all modes, with and without a
// wait, kept, abandoned and taken away; a circle of waiters; operations that succeed, fail, are tried again and die.
// They go on through a failover, and judge nothing.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient, GiveBack } from '../../src/client/client.ts';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';
import { OperationClient } from '../../test/support/operation-client.ts';

const TTL_MS = 6_000;

export class VariedLoad {
  readonly #stop = new AbortController();
  readonly #clients: Client[] = [];
  readonly #addresses: readonly HostPort[];
  readonly #raw: OperationClient;
  readonly #running: Promise<void>[];

  constructor(addresses: readonly HostPort[]) {
    const [first] = addresses;
    if (!first) throw new Error('a load needs an instance');
    this.#addresses = addresses;
    this.#raw = new OperationClient(first);
    this.#running = [
      this.#again('keeper', (client) => this.#keep(client, 'reports/kept', 20_000)),
      ...['one', 'two', 'three'].map((owner) => this.#again(owner, (client) => this.#contend(client))),
      this.#again('reader', (client) => this.#inOtherModes(client)),
      this.#again('impatient', (client) => this.#tryInVain(client)),
      this.#again('careless', (client) => this.#abandon(client)),
      this.#again('admin', (client) => this.#takeAway(client)),
      this.#again('left', (client) => this.#holdAndWaitFor(client, 'circle/a', 'circle/b')),
      this.#again('right', (client) => this.#holdAndWaitFor(client, 'circle/b', 'circle/a')),
      this.#again('observer', (client) => this.#watch(client)),
      this.#again('planner', (client) => this.#plan(client)),
      this.#again('reporter', (client) => this.#awaitReport(client)),
      this.#again('worker', (client) => this.#work(client)),
      this.#loseAttempts(),
    ];
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    // A watch and a wait end only with their client.
    for (const client of this.#clients) client.close();
    this.#raw.close();
    await Promise.all(this.#running);
  }

  /** Does it again and again, whatever happens: a failover makes all of it fail for a while. */
  async #again(owner: string, act: (client: Client) => Promise<void>): Promise<void> {
    // The first address is tried first, so that each instance gets its share.
    const shift = this.#clients.length % this.#addresses.length;
    const addresses = [...this.#addresses.slice(shift), ...this.#addresses.slice(0, shift)].map(
      formatHostPort,
    );
    const client = createClient({ addresses, owner });
    this.#clients.push(client);
    while (!this.#stop.signal.aborted) {
      await act(client).catch(() => undefined);
      await this.#pause(50);
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  #keep(client: Client, resource: string, forMs: number): Promise<void> {
    return client.withLock(resource, () => this.#pause(forMs), { ttlMs: TTL_MS });
  }

  #contend(client: Client): Promise<void> {
    return client.withLock('orders/1', () => this.#pause(100), { ttlMs: TTL_MS, waitMs: 60_000 });
  }

  async #inOtherModes(client: Client): Promise<void> {
    await client.withLock('orders/2', () => this.#pause(20), { mode: 'shared', ttlMs: TTL_MS });
    await client.withLock('gpu', () => this.#pause(20), {
      mode: { permits: 1, limit: 3 },
      ttlMs: TTL_MS,
      durability: 'replicated',
    });
  }

  async #tryInVain(client: Client): Promise<void> {
    await client.tryAcquire('reports/kept', { ttlMs: TTL_MS });
    await this.#pause(200);
  }

  /** A lease that nobody renews or releases. */
  async #abandon(client: Client): Promise<void> {
    await client.locks.acquireUnkept('orders/abandoned', { ttlMs: 1_000, waitMs: 30_000 });
  }

  async #takeAway(client: Client): Promise<void> {
    const lease = await client.acquire('orders/stuck', { ttlMs: TTL_MS });
    await client.locks.forceRelease('orders/stuck', { immediate: true, reason: 'a test of the dashboard' });
    await lease.release();
    await this.#pause(500);
  }

  #holdAndWaitFor(client: Client, held: string, wanted: string): Promise<void> {
    return client.withLock(held, () => this.#keepBoth(client, wanted), { ttlMs: TTL_MS });
  }

  async #keepBoth(client: Client, wanted: string): Promise<void> {
    const { signal } = this.#stop;
    await client.withLock(wanted, () => this.#pause(10), { ttlMs: TTL_MS, waitMs: 60_000, signal });
  }

  async #watch(client: Client): Promise<void> {
    for await (const _ of client.locks.watch({ prefix: 'orders/', signal: this.#stop.signal }));
  }

  /** More work than the workers have, a part of it for nobody. */
  async #plan(client: Client): Promise<void> {
    const id = `${performance.now()}`;
    await client.operations.begin('mails', id, { type: 'mail', data: { fails: Math.random() < 0.2 } });
    await client.operations.begin('mails', id, { type: 'mail', data: { fails: Math.random() < 0.2 } });
    await client.operations.begin('archive', 'for-nobody', { type: 'archive' });
    await this.#pause(150);
  }

  async #awaitReport(client: Client): Promise<void> {
    const id = `${performance.now()}`;
    await client.operations.begin('reports', id, { type: 'report', heartbeatTimeoutMs: 2_000 });
    await client.operations.wait('reports', id, { waitMs: 30_000 });
  }

  /** Runs until the load stops. */
  async #work(client: Client): Promise<void> {
    const mails = client.operations.worker<{ fails?: boolean }>({
      types: 'mail',
      handler: async ({ data }) => {
        if (Math.random() < 0.3) throw new GiveBack();
        if (data?.fails) throw new Error('no such mailbox');
      },
    });
    const reports = client.operations.worker({ types: 'report', handler: () => this.#pause(3_000) });
    await Promise.all([mails.finished, reports.finished]);
  }

  /** Operations whose only attempt is abandoned: the next claim finds them stale, and then dead. */
  async #loseAttempts(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const operation = { resource: 'imports', operationId: `${performance.now()}`, type: 'import' };
      const heartbeatTimeout = { seconds: 1n, nanos: 0 };
      await this.#raw.started({ ...operation, heartbeatTimeout, maxAttempts: 1 }).catch(() => undefined);
      await this.#raw.claim({ types: ['import'] }).catch(() => undefined);
      await this.#pause(1_000);
    }
  }
}
