// The part of a drill's load that takes new locks and gives them back, some a second: how exactly the drill knows when
// grants stopped and came back. Each lock has a name of its own, so that one whose answer was lost is in nobody's way.

import { randomUUID } from 'node:crypto';
import { ContendedError, LeaseholdError } from '../client/client.ts';
import { pause } from '../domain/clock.ts';
import { CALL_MS, type CanaryPart, type CanarySurroundings, inLoop, OWNER, reasonOf } from './canary-part.ts';

/** So many calls may be under way at once: a server that hangs then costs a few of them, and not all. */
const LANES = 4;

interface Probe {
  readonly resource: string;
  readonly leaseId: string;
}

export class GrantProbes implements CanaryPart {
  readonly #around: CanarySurroundings;
  readonly #everyMs: number;
  readonly #stopping = new AbortController();
  readonly #loops: Promise<void>[] = [];
  /** What is held, or may be since nobody answered. */
  readonly #open = new Set<Probe>();
  #count = 0;
  #first: Promise<void> = Promise.resolve();

  constructor(around: CanarySurroundings, perSecond: number) {
    this.#around = around;
    this.#everyMs = (1_000 * LANES) / perSecond;
  }

  async start(): Promise<void> {
    const { clock } = this.#around;
    const { signal } = this.#stopping;
    this.#first = this.#probe(0, true);
    await this.#first;
    if (signal.aborted) return;
    for (let lane = 0; lane < LANES; lane++) {
      const run = async (): Promise<void> => {
        await pause(clock, (this.#everyMs * lane) / LANES, signal);
        await inLoop(clock, this.#everyMs, signal, () => this.#probe(lane, false));
      };
      this.#loops.push(run());
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled([this.#first, ...this.#loops]);
    await Promise.allSettled([...this.#open].map((probe, index) => this.#giveBack(probe, index)));
  }

  left(): { readonly leases: number; readonly operations: number } {
    return { leases: this.#open.size, operations: 0 };
  }

  async #probe(lane: number, isFirst: boolean): Promise<void> {
    const { clientOf, clock, record, counters, prefix, ttlMs } = this.#around;
    const probe = { resource: `${prefix}new-${++this.#count}`, leaseId: randomUUID() };
    this.#open.add(probe);
    const sentAtMs = clock.monotonicMs();
    try {
      const { locks } = clientOf(lane);
      const lease = await locks.acquireUnkept(probe.resource, {
        leaseId: probe.leaseId,
        ttlMs,
        owner: OWNER,
        waitMs: 0,
        timeoutMs: CALL_MS,
      });
      record.answered('acquire', sentAtMs);
      const deadlineMs = clock.monotonicMs() + lease.remainingMs;
      const holding = counters.granted(
        probe.resource,
        lease.fencingToken,
        probe.resource,
        () => clock.monotonicMs() < deadlineMs,
      );
      holding.end();
      await this.#giveBack(probe, lane);
    } catch (error) {
      if (isFirst) throw error;
      record.failed('acquire', sentAtMs, reasonOf(error));
      if (leavesNothing(error)) this.#open.delete(probe);
    }
  }

  async #giveBack(probe: Probe, lane: number): Promise<void> {
    const { clientOf, clock, record } = this.#around;
    const sentAtMs = clock.monotonicMs();
    try {
      await clientOf(lane).locks.release(probe);
      record.answered('release', sentAtMs);
      this.#open.delete(probe);
    } catch (error) {
      record.failed('release', sentAtMs, reasonOf(error));
    }
  }
}

/** The server has answered, and has granted nothing. */
function leavesNothing(error: unknown): boolean {
  return (
    error instanceof ContendedError || (error instanceof LeaseholdError && error.reason === 'QUARANTINE')
  );
}
