// One worker of the demo: it contends for the resource, holds it by the deadline rule, releases it, and begins again.
// Each call goes to the next server, since no lease belongs to a server. The worker reports to its observer.
import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import type { Lease } from '../../generated/leasehold/v1/lease.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { duration, type TestClient } from '../../test/support/test-instance.ts';
import type { Belief, Journal, Rpc } from './journal.ts';
import { pause } from './spans-of-time.ts';

export interface WorkerObserver {
  granted(worker: Worker, belief: Belief, validForMs: number): void;
  renewed(worker: Worker, token: bigint): void;
  /** It has stopped acting as the holder. */
  ended(worker: Worker, belief: Belief, why: string): void;
  unavailable(worker: Worker, rpc: Rpc, reason: string): void;
}

export interface WorkerOptions {
  readonly name: string;
  readonly clients: readonly TestClient[];
  readonly resource: string;
  readonly ttlMs: number;
  readonly journal: Journal;
  readonly observer: WorkerObserver;
  /** How long the job takes for which the lease was just granted. */
  readonly nextJobMs: () => number;
  /** Begin nothing new. */
  readonly signal: AbortSignal;
}

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MOST_MS = 800;
const RELEASE_TRIES = 5;

export class Worker {
  readonly name: string;
  readonly #options: WorkerOptions;
  #call: number;

  constructor(options: WorkerOptions, firstServer: number) {
    this.name = options.name;
    this.#options = options;
    this.#call = firstServer;
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      await this.#acquireAndHold();
      // The worker that has just held it gets no head start.
      await pause(BACKOFF_MOST_MS * (1 + Math.random()), signal);
    }
  }

  async #acquireAndHold(): Promise<void> {
    const { resource, ttlMs, signal } = this.#options;
    // All tries use the same id: if one was granted but its reply was lost, the next try gets the same lease.
    const leaseId = randomUUID();
    try {
      for (let tries = 0; !signal.aborted; tries++) {
        const sentAtMs = performance.now();
        const spec = { resource, leaseId, owner: this.name, ttl: duration(ttlMs) };
        const { value, retryAfterMs } = await this.#try('Acquire', (client) => client.acquire(spec));
        if (value?.lease && performance.now() < this.#deadline(sentAtMs, value.lease))
          return await this.#hold(leaseId, value.lease, sentAtMs);
        await pause(retryAfterMs + fullJitterMs(tries), signal);
      }
    } finally {
      await this.#release(leaseId);
    }
  }

  async #hold(leaseId: string, lease: Lease, sentAtMs: number): Promise<void> {
    const { resource, ttlMs, journal, observer, nextJobMs, signal } = this.#options;
    const { fencingToken } = lease;
    const belief: Belief = {
      worker: this.name,
      token: fencingToken,
      fromMs: performance.now(),
      untilMs: undefined,
    };
    const over = new AbortController();
    const end = (why: string): void => {
      if (over.signal.aborted) return;
      belief.untilMs = performance.now();
      over.abort();
      observer.ended(this, belief, why);
    };
    let deadlineMs = this.#deadline(sentAtMs, lease);
    // The timer stops the work even while a renewal is under way.
    const stopAtDeadline = (): NodeJS.Timeout =>
      setTimeout(() => end('stops: its deadline has come'), deadlineMs - performance.now());
    let timer = stopAtDeadline();
    journal.beliefs.push(belief);
    observer.granted(this, belief, validForMs(lease));
    const jobEndsMs = performance.now() + nextJobMs();
    let nextRenewalMs = sentAtMs + ttlMs / 4;
    while (!over.signal.aborted) {
      await pause(
        Math.min(nextRenewalMs, jobEndsMs) - performance.now(),
        AbortSignal.any([over.signal, signal]),
      );
      if (signal.aborted) end('is told to stop, releases');
      else if (performance.now() >= jobEndsMs) end('finished, releases');
      if (over.signal.aborted) break;
      if (performance.now() < nextRenewalMs) continue; // A timer may fire a little early.
      const askedAtMs = performance.now();
      const request = { resource, leaseId, fencingToken };
      const { value, reason, retryAfterMs } = await this.#try('Renew', (client) => client.renew(request));
      if (over.signal.aborted) break; // Nothing that arrives after the deadline revives the lease.
      if (reason === 'LEASE_LOST') end('stops: LEASE_LOST');
      if (!value?.lease) {
        nextRenewalMs = performance.now() + retryAfterMs + fullJitterMs(0);
        continue;
      }
      nextRenewalMs = askedAtMs + ttlMs / 4;
      deadlineMs = Math.max(deadlineMs, this.#deadline(askedAtMs, value.lease));
      clearTimeout(timer);
      timer = stopAtDeadline();
      journal.renewals.push({ token: fencingToken, atMs: performance.now() });
      observer.renewed(this, fencingToken);
    }
    clearTimeout(timer);
  }

  /** Releases the lease whatever the outcome of Acquire was; a repeat does no harm. */
  async #release(leaseId: string): Promise<void> {
    const { resource, signal } = this.#options;
    for (let tries = 0; tries < RELEASE_TRIES; tries++) {
      const { value, retryAfterMs } = await this.#try('Release', (client) =>
        client.release({ resource, leaseId }),
      );
      if (value || signal.aborted) return; // It ends at its deadline anyway.
      await pause(retryAfterMs + fullJitterMs(tries), signal);
    }
  }

  /** The deadline rule: valid_for counts from before the call was sent, less the margin. */
  #deadline(sentAtMs: number, lease: Lease): number {
    return sentAtMs + validForMs(lease) - Math.max(200, this.#options.ttlMs / 20);
  }

  async #try<T>(
    rpc: Rpc,
    call: (client: TestClient) => Promise<T>,
  ): Promise<{ readonly value?: T; readonly reason: string; readonly retryAfterMs: number }> {
    const { clients, journal, observer } = this.#options;
    const client = clients[this.#call++ % clients.length];
    if (!client) throw new Error('a worker needs a server');
    try {
      const value = await call(client);
      journal.count(rpc, 'OK');
      return { value, reason: '', retryAfterMs: 0 };
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      const code = status[error.code] ?? String(error.code);
      const reason = error.reason || 'no connection';
      journal.count(rpc, `${code} / ${reason}`);
      if (error.code === status.UNAVAILABLE) observer.unavailable(this, rpc, reason);
      return { reason, retryAfterMs: error.retryAfterMs ?? 0 };
    }
  }
}

function validForMs({ validFor }: Lease): number {
  return Number(validFor?.seconds ?? 0n) * 1_000 + (validFor?.nanos ?? 0) / 1e6;
}

/** A random delay below a bound that doubles with each try, so that callers who failed together come back apart. */
function fullJitterMs(tries: number): number {
  return Math.random() * Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** tries);
}
