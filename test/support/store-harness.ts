// What a harness is: a store of either kind under a system clock that the test moves, with reigns that the test
// begins. Both kinds have the same handle, so that one suite proves both and random sequences can compare them. The
// kinds are in memory-harness.ts and redis-harness.ts.

import { randomUUID } from 'node:crypto';
import { systemClock } from '../../src/domain/clock.ts';
import type { HostPort } from '../../src/domain/host-port.ts';
import type { LeaseSpec } from '../../src/domain/lock.ts';
import type { ContentionBoard } from '../../src/store/contention-board.ts';
import type { LockStore, StoreBound } from '../../src/store/lock-store.ts';
import type { OperationStore } from '../../src/store/operation-store.ts';
import type { RedisStoreOptions } from '../../src/store/redis/redis-store.ts';
import type { StoreObserver } from '../../src/store/store.ts';

/** The deployment's largest TTL in these tests, in milliseconds; the quarantine follows from it. */
export const MAX_TTL_MS = 30_000;

export interface StoreHarness {
  readonly locks: LockStore;
  readonly operations: OperationStore;
  readonly contention: ContentionBoard;
  /** The types of the operations that became dead, as the store told of them. */
  readonly deaths: readonly string[];
  /** How many commands went to Redis together, call by call. */
  readonly batches: readonly number[];
  /** The system clock jumps by `ms`, forwards or back, and the next command sees it. */
  step(ms: number): Promise<void>;
  /** As `step`, but what is due is left until the next command. */
  stepUnseen(ms: number): Promise<void>;
  /** Time passes: the system clock moves on in steps that the lease clock follows. */
  pass(ms: number): Promise<void>;
  /**
   * Another primary takes over, or the same one again, after `unseenMs` in which no command advanced the lease clock.
   * Returns when the store has adopted its reign.
   */
  beginReign(unseenMs?: number): Promise<void>;
  /** Time passes as with `pass`, but what is due is left until the next command. */
  passUnseen(ms: number): Promise<void>;
  /** What the primary's data are now, for a failover that loses what is written after this. */
  snapshot(): Promise<Snapshot>;
  /**
   * Another primary takes over. With roll calls the harness's instance puts back what these data lack, and answers;
   * this ends the quarantine unless somebody is missing or the data are old. Without, this is like `beginReign`.
   */
  failOver(how?: FailOver): Promise<void>;
  /** What is due is done, and each attempt that has ended early, as with its lease, is found to be stale. */
  lookAtAttempts(): Promise<void>;
  /** How many locks are remembered in any form, after what lapsed was swept. */
  remembered(): Promise<number>;
  /** How many operations the store still remembers; fails if an index names one that is gone. */
  recorded(): Promise<number>;
  /** How many leases have lapsed instead of being released, as far as something has looked. */
  expiredLeases(): Promise<number>;
  close(): Promise<void>;
}

declare const ofSnapshot: unique symbol;
/** Only the harness that made it knows what is in it. */
export interface Snapshot {
  readonly [ofSnapshot]?: never;
}

export interface FailOver {
  /** Whose data the new primary has; those of the former one, complete, if undefined. */
  readonly to?: Snapshot | undefined;
  /** How long nobody was primary. */
  readonly unseenMs?: number;
  /** By how much the system clock of the new primary differs from that of the former one. */
  readonly stepMs?: number;
  /** Another instance in the registry doesn't answer. */
  readonly missing?: boolean;
  /** By the instance's own entry, the new primary's data are too old to name all. */
  readonly stale?: boolean;
}

export interface HarnessOptions {
  readonly rollCall?: boolean;
}

export const quietObserver: StoreObserver = {
  commandEnded: () => {},
  committed: () => {},
  event: () => {},
};

// Far below the real time, so that nothing that is compared with Redis's real TIME is ever late.
export const START_MS = 1_700_000_000_000;
const STEP_FOLLOWED_MS = 1_000;
/** The instance whose notices the harness's store hears. */
export const INSTANCE_ID = 'i1';

export function inTime(ms = 5_000): StoreBound {
  return { deadlineMs: systemClock.monotonicMs() + ms };
}

export function leaseSpec(overrides: Partial<LeaseSpec> = {}): LeaseSpec {
  return {
    resource: 'invoice:42',
    leaseId: randomUUID(),
    owner: 'billing-7f9c@host-3',
    mode: { kind: 'exclusive' },
    metadata: new Map(),
    ttlMs: 20_000,
    minHoldMs: 0,
    maxHoldMs: 0,
    ...overrides,
  };
}

export abstract class Harness implements StoreHarness {
  abstract readonly locks: LockStore;
  abstract readonly operations: OperationStore;
  abstract readonly contention: ContentionBoard;
  readonly deaths: string[] = [];
  readonly batches: number[] = [];
  protected readonly observer: StoreObserver = {
    ...quietObserver,
    operationDied: (type) => void this.deaths.push(type),
    batchSent: (commands) => void this.batches.push(commands),
  };
  protected readonly rollCall: boolean;
  protected nowMs = START_MS;
  /** How much of that has really passed. */
  protected passedMs = 0;
  readonly #resources = new Set<string>();

  constructor({ rollCall = false }: HarnessOptions) {
    this.rollCall = rollCall;
  }

  protected abstract applyTime(): Promise<void>;
  /** Does at once what instances do every second: advances the lease clock and looks at what is due. */
  protected abstract tick(): Promise<void>;
  protected abstract adopt(how: FailOver): Promise<void>;
  abstract passUnseen(ms: number): Promise<void>;
  abstract snapshot(): Promise<Snapshot>;
  abstract lookAtAttempts(): Promise<void>;
  abstract remembered(): Promise<number>;
  abstract recorded(): Promise<number>;
  abstract expiredLeases(): Promise<number>;
  abstract close(): Promise<void>;

  async step(ms: number): Promise<void> {
    await this.stepUnseen(ms);
    await this.tick();
  }

  async stepUnseen(ms: number): Promise<void> {
    this.nowMs += ms;
    await this.applyTime();
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_FOLLOWED_MS) {
      const stepMs = Math.min(left, STEP_FOLLOWED_MS);
      this.passedMs += stepMs;
      await this.step(stepMs);
    }
  }

  beginReign(unseenMs = 0): Promise<void> {
    return this.failOver({ stepMs: unseenMs, missing: true });
  }

  async failOver(how: FailOver = {}): Promise<void> {
    const { unseenMs = 0, stepMs = 0 } = how;
    this.passedMs += unseenMs;
    this.nowMs += unseenMs + stepMs;
    await this.adopt(how);
    // Instances hear that the quarantine has ended, and ask again for all that wait.
    if (this.rollCall) for (const resource of this.#resources) await this.locks.advance(resource, inTime());
    await this.tick();
  }

  /** A store's part as the suites use it: `call` runs each command, and what listens goes to the store as it is. */
  protected part<T extends object>(
    of: () => T,
    call: (name: string, args: readonly unknown[]) => unknown,
  ): T {
    return new Proxy({} as T, {
      get: (_, name) => {
        const member: unknown = Reflect.get(of(), name);
        if (typeof member !== 'function' || typeof name !== 'string') return member;
        return (...args: unknown[]) => {
          for (const one of args) this.#noteResource(one);
          return call(name, args);
        };
      },
    });
  }

  #noteResource(argument: unknown): void {
    if (typeof argument !== 'object' || argument === null) return;
    if ('spec' in argument) this.#noteResource(argument.spec);
    if ('resource' in argument && typeof argument.resource === 'string')
      this.#resources.add(argument.resource);
  }
}

/** The settings of a store on a single Redis, with keys of its own; a given setting wins. */
export function storeOptions(address: HostPort, given: Partial<RedisStoreOptions> = {}): RedisStoreOptions {
  return {
    deployment: { kind: 'single', address },
    instanceId: INSTANCE_ID,
    connection: { connectTimeoutMs: 2_000, name: 'test' },
    keyPrefix: `t-${randomUUID()}:`,
    maxTtlMs: MAX_TTL_MS,
    maxInFlight: 100,
    minAcks: 0,
    quarantine: true,
    bootstrapNew: true,
    rollCall: false,
    maxToldLeases: 100_000,
    hostName: 'test',
    clock: systemClock,
    observer: quietObserver,
    random: Math.random,
    ...given,
  };
}
