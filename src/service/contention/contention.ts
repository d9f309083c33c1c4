// Contention in the whole deployment: hears of this instance's waits and holds, tells the other instances of them, and
// answers which locks calls wait for, and which owners wait for each other. Nothing of it is in the path of locks:
// there it only counts.

import type { LockView } from '../../domain/lock.ts';
import type { ContentionBoard } from '../../store/contention-board.ts';
import type { LockStore, StoreBound } from '../../store/lock-store.ts';
import { bounded, type CallContext, type CommandTime } from '../call.ts';
import type { HoldEnded, LockObserver } from '../lock-observer.ts';
import { merged } from './contention-report.ts';
import { type Contended, ContentionWindow } from './contention-window.ts';
import { type FoundDeadlocks, searchDeadlocks } from './deadlock-search.ts';
import { DeadlockWatch } from './deadlock-watch.ts';
import { type Coverage, readReports } from './deployment-reports.ts';
import { ReportWriter } from './report-writer.ts';
import type { Deadlock } from './wait-graph.ts';

export interface ContentionOptions extends CommandTime {
  readonly store: LockStore;
  readonly board: ContentionBoard;
  readonly instanceId: string;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Called once for each that this instance comes across by itself. */
  readonly onDeadlock: (deadlock: Deadlock) => void;
}

export interface ContendedLock extends Contended {
  /** As it is now. */
  readonly lock: LockView;
}

export interface ContendedLocks {
  /** The most contended first. */
  readonly locks: readonly ContendedLock[];
  readonly windowMs: number;
  readonly coverage: Coverage;
}

/** Resources that are looked at for a caller, and by the instance itself while calls wait long. */
const MOST_RESOURCES = { asked: 1_000, byItself: 200 } as const;

export class Contention implements LockObserver {
  readonly #options: ContentionOptions;
  readonly #window: ContentionWindow;
  readonly #writer: ReportWriter;
  readonly #watch: DeadlockWatch;

  constructor(options: ContentionOptions) {
    this.#options = options;
    const { clock, random, onDeadlock } = options;
    const window = new ContentionWindow(clock);
    this.#window = window;
    const boundOf = (): StoreBound => bounded(options);
    this.#writer = new ReportWriter({ ...options, window, boundOf });
    const search = () => searchDeadlocks({ ...options, window }, MOST_RESOURCES.byItself, boundOf);
    this.#watch = new DeadlockWatch({ window, clock, random, search, onDeadlock });
  }

  /** Suspected deadlocks, as of the last look; 0 while no call of this instance waits long. */
  get deadlockCount(): number {
    return this.#watch.count;
  }

  /** How long the call that has waited longest on this instance has waited; 0 if none waits. */
  get oldestWaitMs(): number {
    return this.#window.oldestWaitMs;
  }

  waits(resource: string, owner: string, leaseId: string): () => void {
    const ends = this.#window.begin(resource, owner, leaseId);
    this.#writer.wake();
    this.#watch.wake();
    return ends;
  }

  acquired(): void {}

  holdEnded({ resource, heldMs }: HoldEnded): void {
    this.#window.held(resource, heldMs);
  }

  /** Throws what the store throws. */
  async contendedLocks(most: number, context: CallContext): Promise<ContendedLocks> {
    const { store } = this.#options;
    const boundOf = (): StoreBound => bounded(this.#options, context);
    const { reports, coverage } = await readReports({ ...this.#options, window: this.#window }, boundOf());
    const { contended, windowMs } = merged(
      reports.map(({ report }) => report),
      most,
    );
    const names = contended.map(({ resource }) => resource);
    const views = names.length > 0 ? await store.getMany(names, boundOf()) : [];
    const locks = contended.flatMap((one, index) => {
      const lock = views[index];
      return lock ? [{ ...one, lock }] : [];
    });
    return { locks, windowMs, coverage };
  }

  /** Throws what the store throws. */
  suspectedDeadlocks(context: CallContext): Promise<FoundDeadlocks> {
    return searchDeadlocks({ ...this.#options, window: this.#window }, MOST_RESOURCES.asked, () =>
      bounded(this.#options, context),
    );
  }

  close(): Promise<void> {
    this.#watch.close();
    return this.#writer.close();
  }
}
