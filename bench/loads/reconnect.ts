// One TypeScript client with many leases and as many waiting calls, and how long it takes until each is at a server
// again after all its connections broke.
import { randomUUID } from 'node:crypto';
import { type Client, createClient, type LeaseEvent } from '../../src/client/client.ts';

export type ReconnectOrder =
  | { readonly kind: 'crowd'; readonly address: string; readonly count: number; readonly ttlMs: number }
  /** Sent right after the cut; answered when every lease was renewed since, and every waiting call has its place. */
  | { readonly kind: 'reconnected' }
  | { readonly kind: 'disperse' };

export interface Reconnected {
  /** From the order until the last lease was renewed, and the last waiting call heard of its place. */
  readonly leasesMs: number;
  readonly waitersMs: number;
  /** Leases that were ever lost. */
  readonly lost: number;
}

/** This many wait for their grant, or their place, at once. */
const OPENING = 100;

export class LeaseCrowd {
  readonly #client: Client;
  readonly #count: number;
  readonly #run = randomUUID().slice(0, 8);
  readonly #renewed = new Awaited();
  readonly #queued = new Awaited();
  #lost = 0;

  constructor(address: string, count: number) {
    this.#client = createClient({ addresses: address });
    this.#count = count;
  }

  async open(ttlMs: number): Promise<void> {
    const gate = `${this.#run}/gate`;
    await this.#client.acquire(gate, { ttlMs });
    await this.#each((index) => this.#acquire(index, ttlMs));
    await this.#each((index) => this.#wait(gate, index));
    // From now on it is as it will be for the rest of its life: no lease is on its Hold any more.
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    await this.#renewed.all(this.#count);
  }

  async reconnected(): Promise<Reconnected> {
    const [leasesMs, waitersMs] = await Promise.all([
      this.#renewed.all(this.#count),
      this.#queued.all(this.#count),
    ]);
    // A lease that isn't renewed again is lost within a TTL.
    await this.#renewed.all(this.#count);
    return { leasesMs, waitersMs, lost: this.#lost };
  }

  close(): void {
    this.#client.close();
  }

  async #each(open: (index: number) => Promise<void>): Promise<void> {
    let next = 0;
    const opener = async (): Promise<void> => {
      while (next < this.#count) await open(next++);
    };
    await Promise.all(Array.from({ length: OPENING }, opener));
  }

  /** Resolves when it has its place. */
  #wait(gate: string, index: number): Promise<void> {
    return new Promise((resolve) => {
      const onEvent = ({ kind }: LeaseEvent): void => {
        if (kind !== 'queued') return;
        this.#queued.has(index);
        resolve();
      };
      // It waits until the client is closed.
      this.#client.acquire(gate, { waitMs: Number.POSITIVE_INFINITY, onEvent }).catch(() => undefined);
    });
  }

  async #acquire(index: number, ttlMs: number): Promise<void> {
    await this.#client.acquire(`${this.#run}/${index}`, {
      ttlMs,
      onEvent: ({ kind }) => {
        if (kind === 'renewed') this.#renewed.has(index);
        if (kind !== 'lost') return;
        this.#lost++;
        this.#renewed.isGone(index);
      },
    });
  }
}

/** Waits until each of a number of things has happened. */
class Awaited {
  #seen = new Set<number>();
  readonly #gone = new Set<number>();
  #count = Number.POSITIVE_INFINITY;
  #done: () => void = () => {};

  has(index: number): void {
    this.#seen.add(index);
    if (this.#seen.size >= this.#count) this.#done();
  }

  /** It won't happen any more, and nobody waits for it. */
  isGone(index: number): void {
    this.#gone.add(index);
    this.has(index);
  }

  /** Counts from this call. Resolves to how many milliseconds it took. */
  async all(count: number): Promise<number> {
    const sinceMs = performance.now();
    this.#seen = new Set(this.#gone);
    this.#count = count;
    if (this.#seen.size < count) {
      await new Promise<void>((resolve) => {
        this.#done = resolve;
      });
    }
    return performance.now() - sinceMs;
  }
}
