// One lock with a queue of callers that keeps its length: the caller that gets the lock releases it when told to, and
// queues again. Measures the time from before Release is sent until the next caller has the grant, and whether callers
// are granted in the order in which they stand.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { credentials } from '@grpc/grpc-js';
import { AcquireRequest, LockServiceClient } from '../../generated/leasehold/v1/lock_service.ts';
import type { Cycles, HandOvers } from '../load-order.ts';
import { Latencies } from './latencies.ts';
import { duration, promised } from './promised.ts';
import { QueueOrder } from './queue-order.ts';

interface Grant {
  readonly leaseId: string;
  readonly caller: number;
}

const WAIT_MS = 600_000;
/** A server limits the calls at once on a connection. */
const CALLS_PER_CONNECTION = 1_000;
const GROUP = 500;
/** The pause between two hand-overs, so that the caller that released it is in the queue before the next one. */
const PAUSE_MS = 8;

export class HandOverQueue {
  readonly #resource: string;
  readonly #clients: readonly LockServiceClient[];
  readonly #callers: number;
  readonly #order = new QueueOrder();
  readonly #latencies = new Latencies();
  #holder: Promise<Grant>;
  #isOver = false;
  #granted: (grant: Grant) => void = () => {};

  /** One more than there are waiters: one caller has the lock. */
  constructor(address: string, resource: string, waiters: number) {
    this.#resource = resource;
    this.#callers = waiters + 1;
    const connections = Math.ceil(this.#callers / CALLS_PER_CONNECTION);
    this.#clients = Array.from(
      { length: connections },
      () =>
        new LockServiceClient(address, credentials.createInsecure(), {
          'grpc.enable_retries': 0,
          'grpc.use_local_subchannel_pool': 1,
        }),
    );
    this.#holder = this.#nextGrant();
  }

  /** Resolves when all wait except the one that has the lock. They come in groups, so that no server is overrun. */
  async fill(): Promise<void> {
    for (let caller = 0; caller < this.#callers; caller++) {
      this.#queue(caller);
      if (caller % GROUP === 0) await this.#areWaiting(caller);
    }
    await this.#areWaiting(this.#callers - 1);
    await this.#holder;
  }

  async #areWaiting(waiters: number): Promise<void> {
    for (;;) {
      const { lock } = await promised<{ lock: { waiterCount: number } | undefined }>((done) =>
        this.#client(0).getLock({ resource: this.#resource }, done),
      );
      if (lock && lock.waiterCount >= waiters) return;
      await sleep(20);
    }
  }

  /**
   * The order in which they stand: they came over several connections, so it is unknown here. Later ones come singly.
   */
  expect(leaseIds: readonly string[]): void {
    this.#order.expect(leaseIds);
  }

  async pass(forMs: number, isWarmUp: boolean): Promise<HandOvers> {
    const latencies = isWarmUp ? new Latencies() : this.#latencies;
    const startedMs = performance.now();
    const before = this.#order.outOfOrder;
    let times = 0;
    for (; performance.now() - startedMs < forMs; times++) {
      const { leaseId, caller } = await this.#holder;
      this.#holder = this.#nextGrant();
      const releasedMs = performance.now();
      const released = this.#release(leaseId);
      await this.#holder;
      latencies.add(performance.now() - releasedMs);
      await released;
      this.#queue(caller);
      await sleep(PAUSE_MS);
    }
    return {
      times,
      latency: latencies.percentiles(),
      tookMs: performance.now() - startedMs,
      outOfOrder: this.#order.outOfOrder - before,
    };
  }

  async cycle(forMs: number): Promise<Cycles> {
    const grants = new Array<number>(this.#callers).fill(0);
    const startedMs = performance.now();
    const before = this.#order.outOfOrder;
    while (performance.now() - startedMs < forMs) {
      const { leaseId, caller } = await this.#holder;
      grants[caller] = (grants[caller] ?? 0) + 1;
      this.#holder = this.#nextGrant();
      const released = this.#release(leaseId);
      this.#queue(caller);
      await released;
    }
    await this.#holder;
    return {
      grants: grants.reduce((sum, of) => sum + of, 0),
      tookMs: performance.now() - startedMs,
      outOfOrder: this.#order.outOfOrder - before,
      most: Math.max(...grants),
      fewest: Math.min(...grants),
    };
  }

  close(): void {
    this.#isOver = true;
    for (const client of this.#clients) client.close();
  }

  #client(caller: number): LockServiceClient {
    const client = this.#clients[caller % this.#clients.length];
    if (!client) throw new Error('no connections');
    return client;
  }

  #nextGrant(): Promise<Grant> {
    return new Promise((resolve) => {
      this.#granted = resolve;
    });
  }

  #release(leaseId: string): Promise<unknown> {
    const request = { resource: this.#resource, leaseId };
    return promised((done) => this.#client(0).release(request, done));
  }

  #queue(caller: number): void {
    const leaseId = randomUUID();
    const request = AcquireRequest.fromPartial({
      spec: { resource: this.#resource, leaseId, owner: 'bench', ttl: duration(30_000) },
      wait: { $case: 'waitTimeout', value: duration(WAIT_MS) },
    });
    this.#order.queued(leaseId);
    this.#client(caller).acquire(request, (error) => {
      if (error) {
        if (!this.#isOver) throw error;
        return;
      }
      this.#order.granted(leaseId);
      this.#granted({ leaseId, caller });
    });
  }
}
