// Carries out a plan: each step is aimed, recorded, struck and healed at its time, beside those that overlap with it.
// Everything has a bound: a step that hangs ends the run with a reason. The catalogue says what the faults do.
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from '../history.ts';
import { NotNow, type Rig } from './chaos-rig.ts';
import { faultNamed } from './faults/catalogue.ts';
import type { Aimed, FaultKind } from './faults/fault.ts';
import type { Step } from './plan.ts';
import type { RunHistory } from './run-history.ts';

/** At most this many targets are named in the output. */
const TOLD_TARGETS = 4;
const LATE_MS = 10_000;
const AIMED_WITHIN_MS = 15_000;
const STRUCK_WITHIN_MS = 90_000;
const HEALED_WITHIN_MS = 90_000;

export interface TimelineOptions {
  readonly rig: Rig;
  readonly history: RunHistory;
  /** Prints what happened, a line each. */
  readonly tell: (line: string) => void;
}

export class Timeline {
  /** Steps that could not be done when it was their turn. */
  skipped = 0;
  readonly #options: TimelineOptions;
  readonly #over = new AbortController();
  #count = 0;
  /** Resolves when the last fault of the lane ends in which faults come one after the other. */
  #failovers: Promise<void> = Promise.resolve();

  constructor(options: TimelineOptions) {
    this.#options = options;
  }

  /** Resolves when all steps are healed. Rejects when one failed, after the others were healed at once. */
  async run(steps: readonly Step[]): Promise<void> {
    const startMs = nowMs();
    const carriedOut = await Promise.allSettled(
      steps.map(async (step) => {
        try {
          await this.#wait(startMs + step.atMs - nowMs());
          if (this.#over.signal.aborted) return;
          if (faultNamed(step.fault).lane === 'failover') await this.#afterOthers(step);
          else await this.#carryOut(step);
        } catch (error) {
          this.end();
          throw new Error(`${step.fault} at ${step.atMs} ms`, { cause: error });
        }
      }),
    );
    const failed = carriedOut.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
  }

  /** Heals every fault that is at work now; no further fault begins. */
  end(): void {
    this.#over.abort();
  }

  /** A failover may take longer than planned: the next one waits, or is left out where it would come too late. */
  async #afterOthers(step: Step): Promise<void> {
    const dueMs = nowMs();
    const turn = this.#failovers.then(async () => {
      if (this.#over.signal.aborted) return;
      if (nowMs() - dueMs <= LATE_MS) return this.#carryOut(step);
      this.skipped += 1;
      this.#options.tell(`skipped ${step.fault}: the one before it took too long`);
    });
    this.#failovers = turn.catch(() => undefined);
    await turn;
  }

  async #carryOut(step: Step): Promise<void> {
    const kind = faultNamed(step.fault);
    const { rig, tell } = this.#options;
    const aimed = await this.#aim(kind, step);
    if (aimed === undefined) return;
    const taken = aimed.taken ?? [];
    this.#count += 1;
    const id = this.#count;
    // The names of the targets now: a client that is started again has another one.
    const targets = aimed.targets.map(({ name }) => name);
    // Where a replica is behind already, a failover may forget what only the other replica has.
    const mayLose = kind.mayLose?.(rig.minAcks) || (kind.lane === 'failover' && !(await rig.isInSync()));
    const record = (phase: 'began' | 'healed'): void => {
      const { beyondBounds, stays } = kind;
      this.#options.history.write({
        kind: 'fault',
        atMs: nowMs(),
        id,
        fault: kind.as ?? kind.name,
        step: kind.name,
        phase,
        targets,
        detail: aimed.detail,
        ...(mayLose && { mayLose }),
        ...(stays && { mayProgress: stays.mayProgress }),
        ...(beyondBounds !== undefined && { beyondBounds }),
      });
      const what = phase === 'began' ? `: ${shortened(targets)} (${aimed.detail})` : '';
      tell(`${phase.padEnd(7)}#${id} ${kind.name}${what}`);
    };
    record('began');
    try {
      await bounded(aimed.strike(), STRUCK_WITHIN_MS, `${kind.name} was not through`);
      await this.#wait(step.forMs ?? Number.POSITIVE_INFINITY);
    } catch (error) {
      if (!(error instanceof NotNow)) throw error;
      this.skipped += 1;
      tell(`gave up #${id} ${kind.name}: ${error.message}`);
    } finally {
      await bounded(aimed.heal(), HEALED_WITHIN_MS, `${kind.name} was not healed`);
      rig.giveBack(taken);
      record('healed');
    }
  }

  async #aim(kind: FaultKind, step: Step): Promise<Aimed | undefined> {
    const { rig, tell } = this.#options;
    try {
      const { missing } = rig.clocks;
      if (kind.clocks && missing !== undefined) throw new NotNow(`no clock can be stepped: ${missing}`);
      const aimed = await bounded(
        kind.aim(rig, step.options ?? {}),
        AIMED_WITHIN_MS,
        `${kind.name} found no target`,
      );
      rig.take(aimed.taken ?? []);
      return aimed;
    } catch (error) {
      if (!(error instanceof NotNow)) throw error;
      this.skipped += 1;
      tell(`skipped ${kind.name}: ${error.message}`);
      return undefined;
    }
  }

  async #wait(ms: number): Promise<void> {
    if (ms <= 0 || this.#over.signal.aborted) return;
    // Timers overflow beyond 2^31 ms; the end of the run ends a fault that lasts longer.
    const timer = sleep(Math.min(ms, 2 ** 31 - 1), undefined, { signal: this.#over.signal });
    await timer.catch(() => undefined);
  }
}

function shortened(names: readonly string[]): string {
  return names.length <= TOLD_TARGETS ? names.join(', ') : `${names[0]} … ${names.at(-1)}`;
}

async function bounded<T>(work: Promise<T>, withinMs: number, what: string): Promise<T> {
  const timer = new AbortController();
  const late = sleep(withinMs, undefined, { signal: timer.signal }).then(
    () => Promise.reject(new Error(`${what} within ${withinMs} ms`)),
    () => new Promise<never>(() => undefined),
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}
