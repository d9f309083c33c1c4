// Suspected deadlocks against a small simulation of locks with queues: a circle is told exactly when owners are stuck,
// even if each that waits for nothing releases all it has. Each owner is one task here, so a circle is never a mistake.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LockView, Mode } from '../../src/domain/lock.ts';
import { findDeadlocks, type OwnersWait } from '../../src/service/contention/wait-graph.ts';

interface Claim {
  readonly owner: string;
  readonly mode: Mode;
  readonly sinceWallMs: number;
}

interface Lock {
  held: Claim[];
  queue: Claim[];
}

const RESOURCES = ['r0', 'r1', 'r2', 'r3'];
const OWNERS = ['a', 'b', 'c', 'd', 'e'];
const LIMIT = 3;

class Locks {
  readonly #locks = new Map(RESOURCES.map((resource): [string, Lock] => [resource, { held: [], queue: [] }]));

  isWaiting(owner: string): boolean {
    return this.#all.some(({ queue }) => queue.some((each) => each.owner === owner));
  }

  want(resource: string, claim: Claim): void {
    const lock = this.#of(resource);
    if (this.isWaiting(claim.owner) || lock.held.some(({ owner }) => owner === claim.owner)) return;
    lock.queue.push(claim);
    this.#handOver(lock);
  }

  release(resource: string, owner: string): void {
    const lock = this.#of(resource);
    if (!this.isWaiting(owner)) lock.held = lock.held.filter((each) => each.owner !== owner);
    this.#handOver(lock);
  }

  get views(): ReadonlyMap<string, LockView> {
    return new Map(
      RESOURCES.map((resource) => {
        const { held, queue } = this.#of(resource);
        const common = { leaseIdHash: '', metadata: new Map() };
        const grant = { fencingToken: 1n, acquiredAtWallMs: 0, remainingMs: 1, revoked: false };
        const holders = held.map(({ owner, mode }) => ({ ...common, ...grant, owner, mode }));
        const waiters = queue.map((each) => ({ ...common, ...each, queuedAtWallMs: each.sinceWallMs }));
        const counts = { holderCount: held.length, queueLength: queue.length, minHoldRemainingMs: 0 };
        return [resource, { resource, holders, waiters, ...counts, permitsHeld: 0, permitsLimit: LIMIT }];
      }),
    );
  }

  get waits(): readonly OwnersWait[] {
    return RESOURCES.flatMap((resource) =>
      this.#of(resource).queue.map((each) => ({
        ...each,
        resource,
        knownAtWallMs: Number.POSITIVE_INFINITY,
      })),
    );
  }

  get #all(): readonly Lock[] {
    return [...this.#locks.values()];
  }

  #of(resource: string): Lock {
    const lock = this.#locks.get(resource);
    if (!lock) throw new Error(`no ${resource}`);
    return lock;
  }

  /** Nobody overtakes. */
  #handOver(lock: Lock): void {
    for (let [next] = lock.queue; next && admits(lock.held, next.mode); [next] = lock.queue) {
      lock.held.push(next);
      lock.queue.shift();
    }
  }
}

function admits(held: readonly Claim[], wanted: Mode): boolean {
  if (held.some(({ mode }) => mode.kind !== wanted.kind)) return false;
  if (wanted.kind !== 'permits') return wanted.kind === 'shared' || held.length === 0;
  const taken = held.reduce((sum, { mode }) => sum + (mode.kind === 'permits' ? mode.permits : 0), 0);
  return taken + wanted.permits <= LIMIT;
}

const permits = (count: number): Mode => ({ kind: 'permits', permits: count, limit: LIMIT });
const step = fc.record({
  owner: fc.constantFrom(...OWNERS),
  resource: fc.constantFrom(...RESOURCES),
  mode: fc.constantFrom<Mode>({ kind: 'exclusive' }, { kind: 'shared' }, permits(1), permits(2)),
  releases: fc.boolean(),
});

test('A circle is told exactly when owners can’t get on, whatever the modes and the order of the queues', () => {
  let deadlocks = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 40 }), (steps) => {
      const locks = new Locks();
      for (const [sinceWallMs, { owner, resource, mode, releases }] of steps.entries()) {
        if (releases) locks.release(resource, owner);
        else locks.want(resource, { owner, mode, sinceWallMs });
      }
      const found = findDeadlocks(locks.waits, locks.views, 20);
      // Each round lets one owner go on at least.
      for (const _ of OWNERS) {
        for (const owner of OWNERS) for (const resource of RESOURCES) locks.release(resource, owner);
      }
      const stuck = OWNERS.filter((owner) => locks.isWaiting(owner));
      expect(found.length > 0).toBe(stuck.length > 0);
      for (const { owner } of found.flat()) expect(stuck).toContain(owner);
      deadlocks += found.length;
    }),
    { numRuns: 3_000 },
  );
  expect(deadlocks).toBeGreaterThan(20);
});
