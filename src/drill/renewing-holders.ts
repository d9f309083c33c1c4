// The part of a drill's load that holds leases without a stream, and renews them call by call. It renews more often
// than it has to: the pause between its renewals is how exactly the drill knows when renewals stopped and came back.

import { UnavailableError, type UnkeptLease } from '../client/client.ts';
import { pause } from '../domain/clock.ts';
import { CALL_MS, type CanaryPart, type CanarySurroundings, inLoop, OWNER, reasonOf } from './canary-part.ts';
import { JointStart } from './joint-start.ts';

const RENEW_EVERY_MS = 500;
/** A lease that ended at its deadline, without a word of a server. */
const DEADLINE = 'deadline';

interface Kept {
  readonly lease: UnkeptLease;
  deadlineMs: number;
  isOver: boolean;
}

export class RenewingHolders implements CanaryPart {
  readonly #around: CanarySurroundings;
  readonly #count: number;
  readonly #kept: Kept[] = [];
  readonly #joint = new JointStart();
  readonly #loops: Promise<void>[] = [];

  constructor(around: CanarySurroundings, count: number) {
    this.#around = around;
    this.#count = count;
  }

  start(): Promise<void> {
    return this.#joint.start(this.#count, (index) => this.#hold(index));
  }

  async stop(): Promise<void> {
    await this.#joint.stop();
    await Promise.all(this.#loops);
    await Promise.allSettled(
      this.#kept.map(async (one, index) => {
        if (one.isOver) return;
        await this.#around.clientOf(index).locks.release(one.lease);
        one.isOver = true;
      }),
    );
  }

  left(): { readonly leases: number; readonly operations: number } {
    const nowMs = this.#around.clock.monotonicMs();
    const held = this.#kept.filter(({ isOver, deadlineMs }) => !isOver && deadlineMs > nowMs);
    return { leases: held.length, operations: 0 };
  }

  async #hold(index: number): Promise<void> {
    const { clientOf, clock, counters, prefix, ttlMs } = this.#around;
    const { signal } = this.#joint;
    const resource = `${prefix}renewed-${index + 1}`;
    const lease = await clientOf(index).locks.acquireUnkept(resource, { ttlMs, owner: OWNER, signal });
    const kept: Kept = { lease, deadlineMs: clock.monotonicMs() + lease.remainingMs, isOver: false };
    this.#kept.push(kept);
    const holds = (): boolean => !kept.isOver && clock.monotonicMs() < kept.deadlineMs;
    counters.granted(resource, lease.fencingToken, resource, holds);
    const run = async (): Promise<void> => {
      await pause(clock, (RENEW_EVERY_MS * index) / this.#count, signal); // one after the other, not in a burst
      await inLoop(clock, RENEW_EVERY_MS, signal, () => this.#renew(kept, index));
    };
    this.#loops.push(run());
  }

  async #renew(kept: Kept, index: number): Promise<void> {
    const { clientOf, clock, record } = this.#around;
    if (kept.isOver) return;
    const sentAtMs = clock.monotonicMs();
    try {
      const renewed = await clientOf(index).locks.renew(kept.lease, { timeoutMs: CALL_MS });
      kept.deadlineMs = clock.monotonicMs() + renewed.remainingMs;
      record.answered('renew', sentAtMs);
    } catch (error) {
      record.failed('renew', sentAtMs, reasonOf(error));
      const isRefused = !(error instanceof UnavailableError);
      if (!isRefused && clock.monotonicMs() < kept.deadlineMs) return;
      kept.isOver = true;
      record.lost('lease', kept.lease.resource, isRefused ? reasonOf(error) : DEADLINE);
    }
  }
}
