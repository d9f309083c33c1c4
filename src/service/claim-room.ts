// All claims that wait on this instance for work. Each asks the store once when it comes. After that, callers who wait
// for the same types and prefix share one *interest*: when something may have become claimable, the first caller asks,
// and the next one asks only if the first found something. Fifty idle workers cost one question, not fifty.
//
//   notice, timer ──▶ interest is due ──▶ its first caller asks ──found──▶ answered; the interest stays due
//                                                               └nothing─▶ waits for the next notice

import { fullJitterMs } from '../domain/backoff.ts';
import type { Timer } from '../domain/clock.ts';
import { CoordinationError } from '../domain/errors.ts';
import { LIMITS } from '../domain/limits.ts';
import type {
  ClaimCommand,
  ClaimedOperation,
  ClaimOutcome,
  OperationNotice,
  OperationStore,
} from '../store/operation-store.ts';
import { bounded, type CallContext, type CommandTime, isPassing, waitEndsMs } from './call.ts';
import { ASK_AT_MOST_EVERY_MS, ClaimInterests, type Interest } from './claim-interests.ts';
import { Linger } from './linger.ts';
import type { OperationObserver } from './operation-observer.ts';
import { cancelled, draining, overloaded, refusal } from './refusals.ts';

export interface ClaimRoomOptions extends CommandTime {
  readonly store: OperationStore;
  readonly observer: OperationObserver;
  readonly random: () => number;
}

type Claimed = Extract<ClaimOutcome, { kind: 'claimed' }>;
type Ending = 'time over' | 'cancelled' | 'draining';

interface Waiting {
  readonly command: ClaimCommand;
  readonly interest: Interest;
  readonly context: CallContext;
  readonly answer: PromiseWithResolvers<readonly ClaimedOperation[]>;
  isAsking: boolean;
  /** Its last question got no answer and may have claimed something: no other caller can ask in its place. */
  mustAsk: boolean;
  failures: number;
  retry: Timer | undefined;
  /** Why its last question found nothing, if the reason was not a lack of work. */
  refused: CoordinationError | undefined;
  /** What ended the call while it asked. */
  ending: Ending | undefined;
}

/**
 * The store's `askAgainInMs` is a lower bound for all operations: with hundreds of them kept alive, it is always a few
 * milliseconds away. This is small against the second within which a stale operation should be claimed.
 */
const LOOK_AT_MOST_EVERY_MS = 500;
const BACKOFF = { firstMs: 50, mostMs: 1_000 };

export class ClaimRoom {
  readonly #options: ClaimRoomOptions;
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiting>();
  readonly #interests: ClaimInterests;
  readonly #notices: Linger;
  #isServing = false;
  #draining = false;

  constructor(options: ClaimRoomOptions) {
    this.#options = options;
    this.#interests = new ClaimInterests(options.clock, () => void this.#serve());
    this.#notices = new Linger(options.clock, () =>
      options.store.watchChanges((notice) => this.#heard(notice)),
    );
  }

  /** Claims that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /**
   * Resolves with what was claimed. Waits up to `waitMs` for work (0: not at all), and resolves with nothing when the
   * time is over. Throws QUARANTINE, DRAINING, OVERLOADED, CANCELLED, and what the store throws.
   */
  claim(command: ClaimCommand, waitMs: number, context: CallContext): Promise<readonly ClaimedOperation[]> {
    if (this.#draining) return Promise.reject(draining());
    if (context.ended.aborted) return Promise.reject(cancelled());
    return waitMs > 0 ? this.#wait(command, waitMs, context) : this.#claimOnce(command, context);
  }

  /** Ends all waits. */
  drain(): void {
    this.#draining = true;
    for (const waiting of [...this.#waiting]) this.#end(waiting, 'draining');
  }

  close(): void {
    this.#notices.close();
    this.#interests.close();
  }

  async #claimOnce(command: ClaimCommand, context: CallContext): Promise<readonly ClaimedOperation[]> {
    const outcome = await this.#asked(command, context);
    if (outcome.kind === 'quarantined') throw refusal(outcome);
    if (!context.ended.aborted) return outcome.claimed;
    this.#giveBack(command, outcome);
    throw cancelled();
  }

  async #wait(
    command: ClaimCommand,
    waitMs: number,
    context: CallContext,
  ): Promise<readonly ClaimedOperation[]> {
    if (this.#waiting.size >= LIMITS.waitingClaimsPerInstance) {
      throw overloaded('too many claims wait on this instance');
    }
    const { clock } = this.#options;
    const { ended } = context;
    const waiting: Waiting = {
      command,
      interest: this.#interests.join(command),
      context,
      answer: Promise.withResolvers(),
      isAsking: false,
      mustAsk: false,
      failures: 0,
      retry: undefined,
      refused: undefined,
      ending: undefined,
    };
    this.#waiting.add(waiting);
    // Listens before it asks, so that nothing becomes claimable unseen between the two.
    const leave = this.#notices.join();
    const cancel = (): void => this.#end(waiting, 'cancelled');
    ended.addEventListener('abort', cancel, { once: true });
    const untilMs = waitEndsMs(context, waitMs);
    const timeOver = clock.after(untilMs - clock.monotonicMs(), () => this.#end(waiting, 'time over'));
    void this.#ask(waiting);
    try {
      return await waiting.answer.promise;
    } finally {
      timeOver.cancel();
      waiting.retry?.cancel();
      ended.removeEventListener('abort', cancel);
      leave();
    }
  }

  #heard(notice: OperationNotice): void {
    this.#interests.heard(notice);
    void this.#serve();
  }

  /** Lets the callers that are due ask, one after the other. */
  async #serve(): Promise<void> {
    if (this.#isServing) return;
    this.#isServing = true;
    for (let next = this.#next(); next; next = this.#next()) {
      const { interest } = next;
      const wasDue = interest.isDue;
      next.mustAsk = false;
      interest.isDue = false;
      const isAnswered = await this.#ask(next);
      // This caller may leave before it can ask again, and the others rely on its question.
      if (wasDue && !isAnswered) this.#interests.dueIn(interest, BACKOFF.mostMs);
    }
    this.#isServing = false;
  }

  #next(): Waiting | undefined {
    for (const waiting of this.#waiting) {
      if (!waiting.isAsking && (waiting.mustAsk || waiting.interest.isDue)) return waiting;
    }
    return undefined;
  }

  /** Resolves with whether the store answered. */
  async #ask(waiting: Waiting): Promise<boolean> {
    const { command, interest, context } = waiting;
    waiting.isAsking = true;
    let isAnswered = false;
    let claimed: Claimed | undefined;
    try {
      const outcome = await this.#asked(command, context);
      isAnswered = true;
      waiting.refused = undefined;
      waiting.failures = 0;
      if (outcome.kind === 'quarantined') {
        this.#letOthersAsk(waiting);
        // A roll call may end the quarantine early, and nobody tells of that.
        waiting.refused = refusal(outcome);
        this.#interests.dueIn(interest, waiting.refused.details.retryAfterMs ?? outcome.retryAfterMs);
      } else if (outcome.claimed.length > 0) {
        claimed = outcome;
        interest.isDue = true; // there may be more, for the next one
      } else {
        // What its claim_id had claimed is over: that says nothing of what others find.
        if (outcome.isRepeat) this.#letOthersAsk(waiting);
        else interest.blockedOn = new Set(outcome.blockedOn);
        const againMs = outcome.isRepeat ? 0 : outcome.askAgainInMs;
        this.#interests.dueIn(interest, Math.max(againMs, LOOK_AT_MOST_EVERY_MS));
      }
    } catch (error) {
      if (!isPassing(error)) waiting.answer.reject(error);
      if (error instanceof CoordinationError) waiting.refused = error;
      waiting.ending ??= isPassing(error) ? undefined : 'time over';
      const pauseMs = fullJitterMs(waiting.failures++, BACKOFF, this.#options.random);
      waiting.retry = this.#options.clock.after(Math.max(pauseMs, ASK_AT_MOST_EVERY_MS), () => {
        waiting.mustAsk = true;
        void this.#serve();
      });
    }
    waiting.isAsking = false;
    if (claimed) this.#answer(waiting, claimed);
    else if (waiting.ending) this.#end(waiting, waiting.ending);
    void this.#serve();
    return isAnswered;
  }

  // A client may go away while its question is on its way to the store. The script then makes operations RUNNING for a
  // worker that never hears of them. They would stand still until their attempts are stale, and count as failed; so
  // they are given back. A repeat with the same claim id may have got them meanwhile on another instance: the yield
  // carries the stamp of this call, and does nothing then. If even the answer is lost, the attempts go stale.
  #answer(waiting: Waiting, outcome: Claimed): void {
    this.#forget(waiting);
    if (waiting.ending === 'cancelled') {
      this.#giveBack(waiting.command, outcome);
      waiting.answer.reject(cancelled());
    } else {
      waiting.answer.resolve(outcome.claimed);
    }
  }

  #end(waiting: Waiting, ending: Ending): void {
    if (!this.#waiting.has(waiting)) return;
    if (waiting.isAsking) {
      // What the question finds must not be lost, so its answer decides. A client that is gone matters more than any
      // other end.
      if (waiting.ending !== 'cancelled') waiting.ending = ending;
      return;
    }
    this.#forget(waiting);
    if (ending === 'cancelled') waiting.answer.reject(cancelled());
    else if (ending === 'draining') waiting.answer.reject(draining());
    else if (waiting.refused) waiting.answer.reject(waiting.refused);
    else waiting.answer.resolve([]);
  }

  // What it heard may be true of its claim_id alone: an attempt of a former reign isn't repeated before the full end of
  // the quarantine. The others would wait for it.
  #letOthersAsk(waiting: Waiting): void {
    if (this.#waiting.delete(waiting)) this.#waiting.add(waiting);
  }

  #forget(waiting: Waiting): void {
    this.#waiting.delete(waiting);
    this.#interests.leave(waiting.interest);
  }

  async #asked(command: ClaimCommand, context: CallContext): Promise<ClaimOutcome> {
    const { store, observer } = this.#options;
    const outcome = await store.claim(command, bounded(this.#options, context));
    if (outcome.kind === 'claimed') {
      for (const { operation, taken } of outcome.claimed) if (taken) observer.taken(operation.type, taken);
    }
    return outcome;
  }

  // Never gives back what another call with the same claim id got before. The first try waits in the socket of a frozen
  // server; another server answers the second try, and the worker begins. The first server wakes, gets for the first
  // try what the second try got, with a stamp that fits, and then sees that its client is gone.
  #giveBack({ stamp }: ClaimCommand, { claimed, isRepeat }: Claimed): void {
    if (isRepeat) return;
    const { store, observer } = this.#options;
    for (const { operation, attempt } of claimed) {
      const { resource, operationId } = operation;
      const { claimId, fencingToken } = attempt;
      const command = { resource, operationId, claimId, fencingToken, delayMs: 0, requestId: '', stamp };
      const noted = store.yield(command, bounded(this.#options)).then((outcome) => {
        if (outcome.kind === 'changed' && outcome.isNew) observer.retried(operation.type);
      });
      noted.catch(() => {});
    }
  }
}
