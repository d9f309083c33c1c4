// The harness of the memory store. A failover that loses writes is played by making the store again, up to the
// snapshot; what an instance does in a roll call is told-model.ts's.

import { systemClock } from '../../src/domain/clock.ts';
import { SKEW_ALLOWANCE_MS } from '../../src/domain/safety.ts';
import type { ContentionBoard } from '../../src/store/contention-board.ts';
import type { AcquisitionRef, LockStore, StoreBound } from '../../src/store/lock-store.ts';
import type { LeaseRecord } from '../../src/store/memory/lock-record.ts';
import { MemoryStore } from '../../src/store/memory/memory-store.ts';
import { deadlineOf } from '../../src/store/memory/operation-record.ts';
import type { OperationStore } from '../../src/store/operation-store.ts';
import {
  type FailOver,
  Harness,
  type HarnessOptions,
  INSTANCE_ID,
  inTime,
  MAX_TTL_MS,
  quietObserver,
  type Snapshot,
  START_MS,
  type StoreHarness,
} from './store-harness.ts';
import { ToldAttemptsModel, tellAttempt } from './told-attempts-model.ts';
import { type Origin, putBack, release, ToldModel } from './told-model.ts';
import { noteOutcome } from './told-outcomes.ts';

/** What a store of the memory harness has been through, in order: played again, it gives the same data. */
interface Deed {
  readonly nowMs: number;
  readonly does: (store: MemoryStore) => unknown;
}

interface MemorySnapshot extends Snapshot {
  readonly deeds: readonly Deed[];
  readonly origin: Origin;
}

/** Nothing happens by itself in it: a store that is made again does the same again. */
const stillClock = { ...systemClock, after: () => ({ cancel: () => {} }) };

class MemoryHarness extends Harness {
  override readonly locks = this.part<LockStore>(
    () => this.#store.locks,
    (name, args) => this.#command('locks', name, args),
  );
  override readonly operations = this.part<OperationStore>(
    () => this.#store.operations,
    (name, args) => this.#command('operations', name, args),
  );
  override readonly contention = this.part<ContentionBoard>(
    () => this.#store.contention,
    (name, args) => this.#command('contention', name, args),
  );
  readonly #told = new ToldModel();
  readonly #attempts = new ToldAttemptsModel();
  readonly #subscriptions: ((store: MemoryStore) => unknown)[] = [];
  #isPlayedAgain = false;
  #deeds: Deed[] = [];
  #store = this.#open();
  /** Which adoption the data are of; other than their epoch, no two have the same. */
  #reign = 1;

  #open(): MemoryStore {
    const store = new MemoryStore({
      clock: stillClock,
      maxTtlMs: MAX_TTL_MS,
      observer: {
        ...quietObserver,
        operationDied: (type) => {
          if (!this.#isPlayedAgain) this.deaths.push(type);
        },
      },
      instanceId: INSTANCE_ID,
      systemMs: () => this.nowMs,
      rollCall: this.rollCall,
    });
    store.locks.onNotice((notice) => {
      if (notice.kind !== 'revoked' && notice.kind !== 'released') return;
      const { kind, acquisition, callNumber } = notice;
      if (store === this.#store) this.#told.heard(kind, acquisition, { instanceId: INSTANCE_ID, callNumber });
    });
    return store;
  }

  /** Does it now and, if the data are made again, then too. */
  #do<T>(does: (store: MemoryStore) => T): T {
    this.#deeds.push({ nowMs: this.nowMs, does });
    return does(this.#store);
  }

  #command(part: 'locks' | 'operations' | 'contention', name: string, args: readonly unknown[]): unknown {
    const call = (store: MemoryStore, given: readonly unknown[]): unknown =>
      Reflect.apply(Reflect.get(store[part], name), store[part], given);
    if (/^(on|watch)/.test(name)) {
      this.#subscriptions.push((store) => call(store, args));
      return call(this.#store, args);
    }
    const bound = args.at(-1) as StoreBound;
    if (bound.deadlineMs < systemClock.monotonicMs()) return call(this.#store, args);
    const named = namedBy(args[0]);
    const before = named && this.#lease(named);
    const outcome = this.#do((store) => call(store, [...args.slice(0, -1), inTime()]));
    // The store has decided: only its answer is still to come.
    const isTaken =
      named &&
      before &&
      this.#store.table.clock.blocks(before) &&
      this.#lease(named)?.fencingToken !== before.fencingToken;
    return this.#noted(name, args[0], outcome, isTaken ? before.fencingToken : undefined);
  }

  #lease({ resource, leaseId }: AcquisitionRef): LeaseRecord | undefined {
    return this.#store.table.find(resource).leases.get(leaseId);
  }

  async #noted(
    name: string,
    command: unknown,
    outcome: unknown,
    taken: bigint | undefined,
  ): Promise<unknown> {
    const told = await outcome;
    noteOutcome(name, command, told, {
      wallMs: this.nowMs,
      told: this.#told,
      taken,
      released: (lease, token) => this.#told.released(lease, token, this.passedMs, this.#origin()),
      named: ({ resource, leaseId }, spec, minHoldMs = spec?.minHoldMs ?? 0) => {
        const lease = this.#lease({ resource, leaseId });
        if (!lease) return;
        // Its min_hold began with the grant, whose answer may have been told to nobody.
        const sinceMs = Math.max(this.nowMs - lease.acquiredAtWallMs, 0);
        const holdMs = minHoldMs > 0 ? this.passedMs + minHoldMs - sinceMs : 0;
        this.#told.note(lease, { ...this.#origin(), askedMs: this.passedMs, holdMs, about: spec });
      },
      attempted: ({ resource, operationId, claimId, fencingToken }) => {
        const origin = this.#origin();
        const record = this.#store.operations.table.find({ resource, operationId });
        if (!record?.attempt) return;
        const leftMs = deadlineOf(record.attempt) - SKEW_ALLOWANCE_MS - origin.clockMs;
        this.#attempts.note({
          ref: { resource, operationId, claimId, fencingToken },
          isExclusive: record.spec.exclusive,
          endsMs: this.passedMs + leftMs,
          ...origin,
        });
      },
      attemptOver: (ref) => this.#attempts.ended(ref),
    });
    return told;
  }

  #origin(): Origin {
    return { reign: this.#reign, clockMs: this.#store.table.clock.nowMs };
  }

  override async snapshot(): Promise<Snapshot> {
    const made: MemorySnapshot = { deeds: [...this.#deeds], origin: this.#origin() };
    return made;
  }

  protected override async adopt({ to, missing = false, stale = false }: FailOver): Promise<void> {
    const { deeds, origin } = (to as MemorySnapshot | undefined) ?? {
      deeds: undefined,
      origin: this.#origin(),
    };
    if (deeds) await this.#playAgain(deeds);
    this.#reign++;
    const { largestToken } = this.#told;
    const { largestToken: largestOfAttempts } = this.#attempts;
    this.#do((store) => {
      store.table.clock.sawToken(largestToken);
      store.table.clock.sawToken(largestOfAttempts);
      store.beginReign();
    });
    if (!this.rollCall) return;
    const lacking = this.#told.putBack(origin, this.passedMs, this.#origin());
    const released = this.#told.repeated(origin, this.passedMs, this.#origin());
    const attempts = this.#attempts.left(origin, this.passedMs, this.#origin());
    this.#do((store) => {
      for (const one of attempts) tellAttempt(store.operations.table, one);
      for (const one of lacking) putBack(store.table, one);
      for (const one of released) release(store.table, one);
      if (!missing && !stale) store.table.clock.endQuarantine();
    });
  }

  async #playAgain(deeds: readonly Deed[]): Promise<void> {
    const { nowMs } = this;
    this.#isPlayedAgain = true;
    this.nowMs = START_MS;
    const store = this.#open();
    for (const deed of deeds) {
      this.nowMs = deed.nowMs;
      deed.does(store);
    }
    await new Promise(setImmediate); // nobody hears of it again
    this.#isPlayedAgain = false;
    this.nowMs = nowMs;
    this.#deeds = [...deeds];
    this.#store = store;
    for (const subscribe of this.#subscriptions) subscribe(store);
  }

  protected override async applyTime(): Promise<void> {}

  protected override async tick(): Promise<void> {
    this.#do((store) => store.tick());
  }

  override async passUnseen(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= SKEW_ALLOWANCE_MS) {
      const stepMs = Math.min(left, SKEW_ALLOWANCE_MS);
      this.passedMs += stepMs;
      this.nowMs += stepMs;
      this.#do((store) => store.table.clock.advance());
    }
  }

  override lookAtAttempts(): Promise<void> {
    return this.tick();
  }

  override async remembered(): Promise<number> {
    await this.tick();
    return this.#store.locks.size;
  }

  override async recorded(): Promise<number> {
    return this.#store.operations.size;
  }

  override async expiredLeases(): Promise<number> {
    return this.#store.expiredLeases;
  }

  override close(): Promise<void> {
    return this.#store.close();
  }
}

/** The lease that a command names by its id, if it is one that ends leases. */
function namedBy(command: unknown): AcquisitionRef | undefined {
  if (typeof command !== 'object' || command === null) return undefined;
  return 'resource' in command && 'leaseId' in command ? (command as AcquisitionRef) : undefined;
}

export async function memoryHarness(options: HarnessOptions = {}): Promise<StoreHarness> {
  return new MemoryHarness(options);
}
