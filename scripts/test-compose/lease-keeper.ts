// A client that holds one lease and renews it every quarter of its TTL, each time at another instance. Like a careful
// client, it counts its deadline from before each call. Owns the record of its renewals.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallError } from '../../src/client/core/call-error.ts';
import { duration, type TestClient } from '../../test/support/test-instance.ts';

const TTL_MS = 20_000;
const RETRY_MS = 250;

export class LeaseKeeper {
  readonly resource: string;
  readonly token: bigint;
  /** When each renewal was answered, in monotonic milliseconds. */
  readonly renewals: number[] = [];
  readonly #leaseId: string;
  readonly #clients: readonly TestClient[];
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #deadlineMs: number;
  #leastLeftMs = TTL_MS;
  #lost: Error | undefined;
  #calls = 0;

  private constructor(
    clients: readonly TestClient[],
    resource: string,
    { leaseId, token, deadlineMs }: { leaseId: string; token: bigint; deadlineMs: number },
  ) {
    this.#clients = clients;
    this.resource = resource;
    this.#leaseId = leaseId;
    this.token = token;
    this.#deadlineMs = deadlineMs;
    this.#running = this.#renewUntilStopped().catch((error: unknown) => {
      this.#lost = error instanceof Error ? error : new Error(String(error));
    });
  }

  static async acquire(clients: readonly TestClient[], resource: string): Promise<LeaseKeeper> {
    const [client] = clients;
    if (client === undefined) throw new Error('a keeper needs an instance');
    const leaseId = randomUUID();
    const sentAtMs = performance.now();
    const { lease } = await client.acquire({ resource, leaseId, ttl: duration(TTL_MS), owner: 'keeper' });
    if (lease === undefined) throw new Error('a grant has a lease');
    return new LeaseKeeper(clients, resource, {
      leaseId,
      token: lease.fencingToken,
      deadlineMs: sentAtMs + validForMs(lease),
    });
  }

  /** The least time that was left when a renewal was answered. */
  get leastLeftMs(): number {
    return this.#leastLeftMs;
  }

  /** Throws if the lease was lost. */
  assertHeld(): void {
    if (this.#lost !== undefined) throw this.#lost;
  }

  /** When the first renewal after `sinceMs` was answered. Throws if the lease was lost. */
  renewedAfter(sinceMs: number): number | false {
    this.assertHeld();
    return this.renewals.find((atMs) => atMs > sinceMs) ?? false;
  }

  /** Stops the renewals, and releases the lease unless it was lost. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    if (this.#lost !== undefined) return;
    await this.#next()
      .release({ resource: this.resource, leaseId: this.#leaseId })
      .catch(() => undefined); // The lease will end by itself.
  }

  async #renewUntilStopped(): Promise<void> {
    const { signal } = this.#stopping;
    await pause(TTL_MS / 4, signal);
    while (!signal.aborted) {
      const sentAtMs = performance.now();
      if (sentAtMs > this.#deadlineMs) throw new Error(`the lease on ${this.resource} ran out`);
      try {
        const request = { resource: this.resource, leaseId: this.#leaseId, fencingToken: this.token };
        const { lease } = await this.#next().renew(request);
        if (lease === undefined) throw new Error('a renewal has a lease');
        this.#leastLeftMs = Math.min(this.#leastLeftMs, this.#deadlineMs - performance.now());
        this.#deadlineMs = sentAtMs + validForMs(lease);
        this.renewals.push(performance.now());
        await pause(TTL_MS / 4, signal);
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        if (error.reason === 'LEASE_LOST') throw new Error(`the lease on ${this.resource} was lost`);
        await pause(RETRY_MS, signal);
      }
    }
  }

  #next(): TestClient {
    const client = this.#clients[this.#calls++ % this.#clients.length];
    if (client === undefined) throw new Error('a keeper needs an instance');
    return client;
  }
}

function validForMs({ validFor }: { validFor?: { seconds: bigint; nanos: number } | undefined }): number {
  return Number(validFor?.seconds ?? 0n) * 1_000 + (validFor?.nanos ?? 0) / 1e6;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
