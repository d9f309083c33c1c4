// The part of a drill's load that runs operations: long ones, which a failover meets in the middle, and short ones,
// which begin all the time. Its own workers run them. In the end it says which of those that a server had taken are
// lost.

import { UnavailableError, type Worker } from '../client/client.ts';
import { pause } from '../domain/clock.ts';
import { CALL_MS, type CanaryPart, type CanarySurroundings, inLoop, OWNER, reasonOf } from './canary-part.ts';

const BEGIN_EVERY_MS = 1_000;
const PROGRESS_EVERY_MS = 500;
const SHORT_MS = 200;
/** When a short operation may be taken over from a worker that doesn't know of its claim. */
const SHORT_HEARTBEAT_MS = 5_000;
const LONG = 'long';
const SHORT = 'short';
const CHECK_EVERY_MS = 100;
const FINISH_EVERY_MS = 500;
const PAGE = 500;
const REMOVING_LANES = 16;
const GONE = 'gone';
/** Replication is a little behind, and so is what a Sentinel knows. */
const LAST_MOMENT_MS = 1_000;
const WORKERS = 2;

interface Begun {
  readonly resource: string;
  readonly id: string;
  /** When a server had said that the operation is recorded; undefined if none has. */
  takenAtMs: number | undefined;
  begunAtMs: number;
}

/** The request for the failover, and the word of the first Sentinel that it has happened. */
export interface FailoverSpan {
  readonly begunMs: number;
  readonly switchedMs: number | undefined;
}

export interface OperationCounts {
  readonly begun: number;
  readonly lost: number;
  /** Recorded while the failover ran, and gone with the writes that the new primary had not received. */
  readonly forgotten: number;
  /** Attempts that another worker had to take over. */
  readonly takenOver: number;
}

export class CanaryOperations implements CanaryPart {
  readonly #around: CanarySurroundings;
  readonly #count: number;
  readonly #timeToLiveMs: number;
  readonly #type: string;
  readonly #begun = new Map<string, Begun>();
  readonly #beginning = new AbortController();
  readonly #finishing = new AbortController();
  readonly #stopping = new AbortController();
  #workers: readonly Worker[] = [];
  #loop: Promise<void> = Promise.resolve();
  #starting: Promise<unknown> = Promise.resolve();
  #number = 0;
  #takenOver = 0;
  #forgotten = 0;
  #runningLong = 0;

  constructor(around: CanarySurroundings, count: number, timeToLiveMs: number) {
    this.#around = around;
    this.#count = count;
    this.#timeToLiveMs = timeToLiveMs;
    this.#type = around.prefix.slice(0, -1);
  }

  async start(): Promise<void> {
    if (this.#count === 0) return;
    const { clock, clientOf } = this.#around;
    this.#workers = Array.from({ length: WORKERS }, (_, index) =>
      clientOf(index).operations.worker({
        types: this.#type,
        prefix: this.#around.prefix,
        owner: `${OWNER} ${index + 1}`,
        concurrency: 2 * this.#count,
        graceMs: 0,
        handler: async ({ operation, progress, attempt }) => {
          if (attempt > 1) this.#takenOver++;
          await this.#work(operation.operationId, progress);
        },
        onError: () => {}, // It tries again, and what doesn't run in the end is counted.
      }),
    );
    const all = Array.from({ length: this.#count }, () => this.#begin(LONG));
    this.#starting = Promise.allSettled(all);
    await Promise.all(all);
    const { signal } = this.#beginning;
    if (signal.aborted) return;
    this.#loop = inLoop(clock, BEGIN_EVERY_MS / this.#count, signal, () => this.#begin(SHORT));
    while (this.#runningLong < this.#count && !signal.aborted) await pause(clock, CHECK_EVERY_MS, signal);
  }

  /**
   * Begins no more, waits until all that was begun is done or gone, up to this time, and records what is lost. An
   * operation that was recorded while the failover ran counts as forgotten: the former primary may have taken it when
   * the new one was promoted already.
   */
  async finish(withinMs: number, { begunMs, switchedMs }: FailoverSpan, signal: AbortSignal): Promise<void> {
    const { clock, record } = this.#around;
    this.#beginning.abort();
    await this.#loop;
    this.#finishing.abort();
    const untilMs = clock.monotonicMs() + withinMs;
    let states = await this.#states();
    const isOpen = (one: Begun): boolean => one.takenAtMs !== undefined && isUnfinished(states?.get(one.id));
    while (!states || [...this.#begun.values()].some(isOpen)) {
      if (signal.aborted || clock.monotonicMs() >= untilMs) break;
      await pause(clock, FINISH_EVERY_MS, signal);
      states = await this.#states();
    }
    if (signal.aborted || !states) return;
    for (const { id, resource, takenAtMs } of this.#begun.values()) {
      const state = states.get(id) ?? GONE;
      if (takenAtMs === undefined || state === 'succeeded') continue;
      const isRisky =
        switchedMs !== undefined &&
        takenAtMs > begunMs - LAST_MOMENT_MS &&
        takenAtMs < switchedMs + LAST_MOMENT_MS;
      if (state === GONE && isRisky) this.#forgotten++;
      else record.lost('operation', `${resource} ${id}`, state);
    }
  }

  /**
   * Its workers go on meanwhile: an operation whose claim was never answered can only be removed when its heartbeat was
   * missed and another worker has claimed it, which in a quarantine is after its end.
   */
  async stop(withinMs: number): Promise<void> {
    const { clock } = this.#around;
    const untilMs = clock.monotonicMs() + withinMs;
    this.#beginning.abort();
    await this.#starting;
    await this.#loop;
    this.#stopping.abort();
    const all = this.#begun.values(); // shared by the lanes
    const lane = async (): Promise<void> => {
      for (const one of all) await this.#remove(one, untilMs);
    };
    await Promise.all(Array.from({ length: REMOVING_LANES }, lane));
    await Promise.allSettled(this.#workers.map((worker) => worker.stop()));
  }

  left(): { readonly leases: number; readonly operations: number } {
    return { leases: 0, operations: this.#begun.size };
  }

  counts(): OperationCounts {
    const begun = [...this.#begun.values()].filter(({ takenAtMs }) => takenAtMs !== undefined).length;
    const lost = this.#around.record.losses.filter(({ what }) => what === 'operation').length;
    return { begun, lost, forgotten: this.#forgotten, takenOver: this.#takenOver };
  }

  /** Rejects for a long one alone: short ones may meet an outage. */
  async #begin(kind: typeof LONG | typeof SHORT): Promise<void> {
    const { clientOf, clock, record, prefix, ttlMs } = this.#around;
    const number = ++this.#number;
    const sentAtMs = clock.monotonicMs();
    const one: Begun = {
      resource: `${prefix}operations`,
      id: `${kind}-${number}`,
      takenAtMs: undefined,
      begunAtMs: sentAtMs,
    };
    this.#begun.set(one.id, one);
    try {
      await clientOf(number).operations.begin(one.resource, one.id, {
        type: this.#type,
        owner: OWNER,
        heartbeatTimeoutMs: kind === LONG ? ttlMs : Math.min(ttlMs, SHORT_HEARTBEAT_MS),
        timeToLiveMs: this.#timeToLiveMs,
        retentionMs: this.#timeToLiveMs, // for a drill that was killed
        timeoutMs: CALL_MS,
      });
      one.takenAtMs = clock.monotonicMs();
      record.answered('begin', sentAtMs);
    } catch (error) {
      record.failed('begin', sentAtMs, reasonOf(error));
      if (kind === LONG) throw error;
    }
  }

  async #work(id: string, progress: (value: unknown) => Promise<void>): Promise<void> {
    const { clock, record } = this.#around;
    const one = this.#begun.get(id);
    if (one && one.begunAtMs > 0) record.answered('claim', one.begunAtMs);
    if (one) one.begunAtMs = 0; // A later attempt waits for other things than a claim.
    if (!id.startsWith(LONG)) return pause(clock, SHORT_MS, this.#stopping.signal);
    this.#runningLong++;
    const ending = AbortSignal.any([this.#finishing.signal, this.#stopping.signal]);
    await inLoop(clock, PROGRESS_EVERY_MS, ending, async () => {
      const sentAtMs = clock.monotonicMs();
      try {
        await progress({ at: Math.round(sentAtMs) });
        record.answered('heartbeat', sentAtMs);
      } catch (error) {
        record.failed('heartbeat', sentAtMs, reasonOf(error));
        if (!(error instanceof UnavailableError)) throw error;
      }
    });
  }

  /** The states by the operations' ids; undefined if no server told them. */
  async #states(): Promise<ReadonlyMap<string, string> | undefined> {
    const { clientOf, prefix } = this.#around;
    try {
      const found = new Map<string, string>();
      const options = { prefix, pageSize: PAGE, timeoutMs: CALL_MS };
      for await (const { operationId, state } of clientOf(0).operations.list(options))
        found.set(operationId, state);
      return found;
    } catch {
      return undefined;
    }
  }

  async #remove({ resource, id }: Begun, untilMs: number): Promise<void> {
    const { clientOf, clock } = this.#around;
    for (let tries = 0; clock.monotonicMs() < untilMs; tries++) {
      try {
        await clientOf(tries).operations.remove(resource, id, { timeoutMs: CALL_MS });
        this.#begun.delete(id);
        return;
      } catch {
        await pause(clock, CHECK_EVERY_MS); // It still runs, or no server can be told.
      }
    }
  }
}

function isUnfinished(state: string | undefined): boolean {
  return state === 'pending' || state === 'running';
}
