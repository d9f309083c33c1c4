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
/** How long the record stays that the drill could not remove: for a drill that was killed. */
const RETENTION_MS = 60_000;
const LONG = 'long';
const SHORT = 'short';
const CHECK_EVERY_MS = 100;
const WORKERS = 2;

interface Begun {
  readonly resource: string;
  readonly id: string;
  /** A server has said that the operation is recorded. */
  isTaken: boolean;
  isDone: boolean;
  begunAtMs: number;
}

export interface OperationCounts {
  readonly begun: number;
  readonly lost: number;
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
        onHandled: ({ kind, operation }) => {
          if (kind === 'succeeded') this.#done(operation.operationId);
        },
        onError: () => {}, // It tries again, and what doesn't run in the end is counted.
      }),
    );
    const all = Array.from({ length: this.#count }, () => this.#begin(LONG));
    this.#starting = Promise.allSettled(all);
    await Promise.all(all);
    const { signal } = this.#beginning;
    if (signal.aborted) return;
    this.#loop = inLoop(clock, BEGIN_EVERY_MS / this.#count, signal, async () => {
      await this.#begin(SHORT).catch(reasonOf);
    });
    while (this.#runningLong < this.#count && !signal.aborted) await pause(clock, CHECK_EVERY_MS, signal);
  }

  /** Begins no more, and waits until all that was begun is done, up to this time. Records what is lost. */
  async finish(withinMs: number, signal: AbortSignal): Promise<void> {
    const { clock, record } = this.#around;
    this.#beginning.abort();
    await this.#loop;
    this.#finishing.abort();
    const untilMs = clock.monotonicMs() + withinMs;
    const open = (): Begun[] => [...this.#begun.values()].filter(({ isTaken, isDone }) => isTaken && !isDone);
    while (open().length > 0 && clock.monotonicMs() < untilMs && !signal.aborted) {
      await pause(clock, CHECK_EVERY_MS, signal);
    }
    if (signal.aborted) return;
    for (const one of open()) {
      const state = await this.#stateOf(one);
      if (state !== 'succeeded') record.lost('operation', `${one.resource} ${one.id}`, state);
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
    await Promise.all([...this.#begun.values()].map((one) => this.#remove(one, untilMs)));
    await Promise.allSettled(this.#workers.map((worker) => worker.stop()));
  }

  left(): { readonly leases: number; readonly operations: number } {
    return { leases: 0, operations: this.#begun.size };
  }

  counts(): OperationCounts {
    const begun = [...this.#begun.values()].filter(({ isTaken }) => isTaken).length;
    const lost = this.#around.record.losses.filter(({ what }) => what === 'operation').length;
    return { begun, lost, takenOver: this.#takenOver };
  }

  async #begin(kind: typeof LONG | typeof SHORT): Promise<void> {
    const { clientOf, clock, record, prefix, ttlMs } = this.#around;
    const number = ++this.#number;
    const sentAtMs = clock.monotonicMs();
    const one: Begun = {
      resource: `${prefix}operations`,
      id: `${kind}-${number}`,
      isTaken: false,
      isDone: false,
      begunAtMs: sentAtMs,
    };
    this.#begun.set(one.id, one);
    try {
      await clientOf(number).operations.begin(one.resource, one.id, {
        type: this.#type,
        owner: OWNER,
        heartbeatTimeoutMs: kind === LONG ? ttlMs : Math.min(ttlMs, SHORT_HEARTBEAT_MS),
        timeToLiveMs: this.#timeToLiveMs,
        retentionMs: RETENTION_MS,
        timeoutMs: CALL_MS,
      });
      one.isTaken = true;
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

  #done(id: string): void {
    const one = this.#begun.get(id);
    if (one) one.isDone = true;
  }

  async #stateOf({ resource, id }: Begun): Promise<string> {
    try {
      const { state } = await this.#around.clientOf(0).operations.get(resource, id, { timeoutMs: CALL_MS });
      return state;
    } catch (error) {
      return reasonOf(error);
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
