// One lock with a queue of callers that stays as long as it is: whoever gets the lock gives it back when told to, and
// queues again. Measures from before Release is sent until the next one has the grant.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { credentials } from '@grpc/grpc-js';
import { AcquireRequest, LockServiceClient } from '../../generated/leasehold/v1/lock_service.ts';
import type { HandOvers } from '../load-order.ts';
import { Latencies } from './latencies.ts';
import { duration, promised } from './promised.ts';

const RESOURCE = 'bench-hot';
const WAIT_MS = 600_000;
/** A server allows a connection only so many calls at once. */
const CALLS_PER_CONNECTION = 1_000;
/** Between two hand-overs: the one who gave it back is in the queue again before the next. */
const PAUSE_MS = 8;

export class HandOverQueue {
  readonly #clients: readonly LockServiceClient[];
  #holder: Promise<string>;
  #isOver = false;
  #granted: (leaseId: string) => void = () => {};

  constructor(address: string, callers: number) {
    const connections = Math.ceil((callers + 1) / CALLS_PER_CONNECTION);
    this.#clients = Array.from(
      { length: connections },
      () =>
        new LockServiceClient(address, credentials.createInsecure(), {
          'grpc.enable_retries': 0,
          'grpc.use_local_subchannel_pool': 1,
        }),
    );
    this.#holder = this.#nextGrant();
    for (let caller = 0; caller <= callers; caller++) this.#queue(caller);
  }

  /** Resolves when the queue is as long as it should be: the one who has the lock doesn't count. */
  async filled(waiters: number): Promise<void> {
    await this.#holder;
    for (;;) {
      const { lock } = await promised<{ lock: { waiterCount: number } | undefined }>((done) =>
        this.#client(0).getLock({ resource: RESOURCE }, done),
      );
      if (lock && lock.waiterCount >= waiters) return;
      await sleep(20);
    }
  }

  async pass(times: number): Promise<HandOvers> {
    const latencies = new Latencies();
    const startedMs = performance.now();
    for (let time = 0; time < times; time++) {
      const leaseId = await this.#holder;
      this.#holder = this.#nextGrant();
      const releasedMs = performance.now();
      const released = promised((done) => this.#client(0).release({ resource: RESOURCE, leaseId }, done));
      await this.#holder;
      latencies.add(performance.now() - releasedMs);
      await released;
      this.#queue(time);
      await sleep(PAUSE_MS);
    }
    return {
      p50Ms: latencies.percentile(50),
      p99Ms: latencies.percentile(99),
      tookMs: performance.now() - startedMs,
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

  #nextGrant(): Promise<string> {
    return new Promise((resolve) => {
      this.#granted = resolve;
    });
  }

  #queue(caller: number): void {
    const leaseId = randomUUID();
    const request = AcquireRequest.fromPartial({
      spec: { resource: RESOURCE, leaseId, owner: 'bench', ttl: duration(30_000) },
      wait: { $case: 'waitTimeout', value: duration(WAIT_MS) },
    });
    this.#client(caller).acquire(request, (error) => {
      if (!error) this.#granted(leaseId);
      else if (!this.#isOver) throw error;
    });
  }
}
