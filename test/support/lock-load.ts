// Callers that contend for locks through several instances and obey the deadline rule, a holder that keeps one lease
// for as long as it can, and the checker of what they saw: no two beliefs in the same lock at once, tokens that only
// grow, and no call that hangs. Everything runs in one process, so all moments are on one clock.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lease } from '../../generated/leasehold/v1/lease.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { duration, type TestClient } from './test-instance.ts';

export interface CallRecord {
  readonly client: number;
  readonly rpc: 'Acquire' | 'Renew' | 'Release';
  readonly sentAtMs: number;
  readonly endedAtMs: number;
  /** 'OK', or the reason of the error. */
  readonly outcome: string;
}

/** A span in which a caller was entitled to act as the holder. */
interface Belief {
  readonly resource: string;
  readonly token: bigint;
  readonly fromMs: number;
  untilMs: number;
}

interface Grant {
  readonly resource: string;
  readonly leaseId: string;
  readonly token: bigint;
  readonly sentAtMs: number;
  readonly receivedAtMs: number;
}

export interface LockLoadOptions {
  readonly clients: readonly TestClient[];
  readonly workers: number;
  readonly resources: readonly string[];
  readonly ttlMs: number;
  /** The TTL of the holder that keeps its lease; renewed every second. */
  readonly keptTtlMs: number;
}

const KEPT = 'kept for the whole test';
const RENEW_KEPT_EVERY_MS = 1_000;
const RELEASE_TRIES = 3;

export class LockLoad {
  readonly calls: CallRecord[] = [];
  /** Grants of new acquisitions, in the order in which they were received. */
  readonly grants: Grant[] = [];
  readonly #options: LockLoadOptions;
  readonly #beliefs: Belief[] = [];
  readonly #running: Promise<void>[] = [];
  #stopped = false;
  #keptLost: string | undefined;
  #keptRenewals: number[] = [];

  private constructor(options: LockLoadOptions) {
    this.#options = options;
  }

  /** Returns when the kept lease is held. */
  static async start(options: LockLoadOptions): Promise<LockLoad> {
    const load = new LockLoad(options);
    load.#running.push(load.#keep(await load.#acquireKept()));
    for (let worker = 0; worker < options.workers; worker++) load.#running.push(load.#work(worker));
    return load;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  /** Moments at which the kept lease was renewed. */
  get keptRenewals(): readonly number[] {
    return this.#keptRenewals;
  }

  grantsSince(sinceMs: number): readonly Grant[] {
    return this.grants.filter(({ sentAtMs }) => sentAtMs >= sinceMs);
  }

  /** The rules that were broken, one line each; empty when all is well. */
  violations(maxCallMs: number): string[] {
    const found: string[] = [];
    if (this.#keptLost !== undefined) found.push(`the kept lease was lost: ${this.#keptLost}`);
    for (const call of this.calls) {
      const tookMs = call.endedAtMs - call.sentAtMs;
      if (tookMs > maxCallMs) found.push(`${call.rpc} took ${Math.round(tookMs)} ms (${call.outcome})`);
      if (call.outcome === 'INTERNAL' || call.outcome === '')
        found.push(`${call.rpc} ended with an odd error`);
    }
    for (const resource of new Set(this.#beliefs.map((belief) => belief.resource))) {
      const beliefs = this.#beliefs
        .filter((b) => b.resource === resource)
        .sort((a, b) => a.fromMs - b.fromMs);
      for (const [index, belief] of beliefs.entries()) {
        const next = beliefs[index + 1];
        if (next && next.token !== belief.token && next.fromMs < belief.untilMs) {
          const overlapMs = Math.round(belief.untilMs - next.fromMs);
          found.push(
            `${resource}: tokens ${belief.token} and ${next.token} were believed at once for ${overlapMs} ms`,
          );
        }
      }
    }
    for (const later of this.grants) {
      for (const earlier of this.grants) {
        if (earlier.resource !== later.resource || earlier.leaseId === later.leaseId) continue;
        if (earlier.receivedAtMs < later.sentAtMs && earlier.token >= later.token) {
          found.push(`${later.resource}: token ${later.token} was granted after ${earlier.token}`);
        }
      }
    }
    return found;
  }

  async #work(worker: number): Promise<void> {
    const { resources, ttlMs } = this.#options;
    for (let round = worker; !this.#stopped; round++) {
      const resource = resources[round % resources.length] ?? '';
      const leaseId = randomUUID();
      const lease = await this.#acquire(round, resource, leaseId, ttlMs);
      if (!lease) {
        await sleep(20 + Math.random() * 80);
        // A lease that may have been granted without our knowing is given back, and its lease id is never used again.
        await this.#release(round, resource, leaseId);
        continue;
      }
      const { belief, token } = lease;
      await this.#hold(belief, Math.random() * 250);
      if (Math.random() < 0.5) await this.#renew(round, resource, leaseId, token, belief);
      await this.#hold(belief, Math.random() * 250);
      belief.untilMs = Math.min(belief.untilMs, performance.now());
      await this.#release(round, resource, leaseId);
    }
  }

  /** Acts as the holder for `ms`, but never past the deadline. */
  async #hold(belief: Belief, ms: number): Promise<void> {
    const leftMs = belief.untilMs - performance.now();
    if (leftMs > 0) await sleep(Math.min(ms, leftMs));
  }

  async #acquire(
    client: number,
    resource: string,
    leaseId: string,
    ttlMs: number,
  ): Promise<{ belief: Belief; token: bigint } | undefined> {
    const sentAtMs = performance.now();
    const lease = await this.#call(client, 'Acquire', async (to) => {
      const spec = { resource, leaseId, owner: `worker-${client}`, ttl: duration(ttlMs) };
      return (await to.acquire(spec)).lease;
    });
    if (!lease) return undefined;
    const receivedAtMs = performance.now();
    const token = lease.fencingToken;
    this.grants.push({ resource, leaseId, token, sentAtMs, receivedAtMs });
    const belief = { resource, token, fromMs: receivedAtMs, untilMs: deadline(lease, sentAtMs, ttlMs) };
    this.#beliefs.push(belief);
    return { belief, token };
  }

  async #renew(
    client: number,
    resource: string,
    leaseId: string,
    token: bigint,
    belief: Belief,
  ): Promise<void> {
    const sentAtMs = performance.now();
    const lease = await this.#call(client, 'Renew', async (to) => {
      return (await to.renew({ resource, leaseId, fencingToken: token })).lease;
    });
    // An answer that arrives after the deadline does not revive the lease.
    if (!lease || performance.now() >= belief.untilMs) return;
    belief.untilMs = Math.max(belief.untilMs, deadline(lease, sentAtMs, this.#options.ttlMs));
  }

  async #release(client: number, resource: string, leaseId: string): Promise<void> {
    for (let tries = 0; tries < RELEASE_TRIES && !this.#stopped; tries++) {
      const answer = await this.#call(client + tries, 'Release', (to) => to.release({ resource, leaseId }));
      if (answer) return;
      await sleep(Math.random() * 200);
    }
  }

  async #acquireKept(): Promise<{ lease: Lease; leaseId: string; untilMs: number }> {
    const leaseId = randomUUID();
    const sentAtMs = performance.now();
    const { clients, keptTtlMs } = this.#options;
    const spec = { resource: KEPT, leaseId, owner: 'keeper', ttl: duration(keptTtlMs) };
    const lease = (await clients[0]?.acquire(spec))?.lease;
    if (!lease) throw new Error('the kept lease was not granted');
    return { lease, leaseId, untilMs: deadline(lease, sentAtMs, keptTtlMs) };
  }

  async #keep({
    lease,
    leaseId,
    untilMs,
  }: {
    lease: Lease;
    leaseId: string;
    untilMs: number;
  }): Promise<void> {
    let deadlineMs = untilMs;
    const belief: Belief = { resource: KEPT, token: lease.fencingToken, fromMs: performance.now(), untilMs };
    this.#beliefs.push(belief);
    for (let round = 0; !this.#stopped; round++) {
      const sentAtMs = performance.now();
      if (sentAtMs >= deadlineMs) {
        this.#keptLost = 'its deadline passed without a renewal';
        return;
      }
      const renewed = await this.#call(round, 'Renew', async (to) => {
        return (await to.renew({ resource: KEPT, leaseId, fencingToken: lease.fencingToken })).lease;
      });
      if (this.calls.at(-1)?.outcome === 'LEASE_LOST') {
        this.#keptLost = 'LEASE_LOST';
        return;
      }
      if (renewed && performance.now() < deadlineMs) {
        deadlineMs = deadline(renewed, sentAtMs, this.#options.keptTtlMs);
        belief.untilMs = deadlineMs;
        this.#keptRenewals.push(performance.now());
      }
      await sleep(renewed ? RENEW_KEPT_EVERY_MS : 100);
    }
    belief.untilMs = performance.now();
  }

  async #call<T>(
    client: number,
    rpc: CallRecord['rpc'],
    call: (to: TestClient) => Promise<T>,
  ): Promise<T | undefined> {
    const { clients } = this.#options;
    const index = client % clients.length;
    const to = clients[index];
    if (!to) throw new Error('a load needs a client');
    const sentAtMs = performance.now();
    let outcome = 'OK';
    try {
      return await call(to);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      outcome = error.reason || (error.code === 14 ? 'NO_CONNECTION' : '');
      return undefined;
    } finally {
      this.calls.push({ client: index, rpc, sentAtMs, endedAtMs: performance.now(), outcome });
    }
  }
}

/** The deadline rule: it counts from before the call was sent, minus the margin. */
function deadline(lease: Lease, sentAtMs: number, ttlMs: number): number {
  const validForMs = Number(lease.validFor?.seconds ?? 0n) * 1_000 + (lease.validFor?.nanos ?? 0) / 1e6;
  return sentAtMs + validForMs - Math.max(200, ttlMs / 20);
}
