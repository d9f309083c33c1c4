// The one lane that every script of a caller goes through. Here and nowhere else is decided what must be true before a
// reply becomes an answer: it was not late; it came under the same reign; enough replicas have what it tells
// (commit-barrier.ts); and after it came, a majority of the Sentinels confirmed the primary. In this order.

import type { Clock } from '../../domain/clock.ts';
import { CoordinationError } from '../../domain/errors.ts';
import { CONFIRMATION_WINDOW_MS } from '../../domain/safety.ts';
import type { Trace } from '../../domain/trace.ts';
import type { StoreBound } from '../lock-store.ts';
import type { StoreObserver } from '../store.ts';
import { CommitBarrier } from './commit-barrier.ts';
import type { ConnectionSettings } from './connection.ts';
import type { Reply } from './evaluate-script.ts';
import type { PrimaryKeeper } from './primary-keeper.ts';
import type { PrimaryLocator } from './primary-locator.ts';
import type { ScriptName, Scripts } from './scripts.ts';
import type { Session } from './session.ts';

export interface CommandLaneOptions {
  readonly keeper: PrimaryKeeper;
  readonly locator: PrimaryLocator;
  readonly scripts: Scripts;
  readonly clock: Clock;
  /** Commands that may wait for Redis at once; the next one is refused at once. */
  readonly maxInFlight: number;
  /** How many replicas must have what an answer tells. A call can ask for more. */
  readonly minAcks: number;
  /** For the commit barrier's own connection. */
  readonly connection: ConnectionSettings;
  readonly observer: StoreObserver;
}

export interface Answer {
  readonly reply: Reply;
  /** When Redis was asked, on the monotonic clock: deadlines are counted from here, never from the reply. */
  readonly askedAtMs: number;
  /** How many replicas have it; 0: nobody asked them. */
  readonly replicas: number;
  /** What it came on. */
  readonly session: Session;
}

/** Remembers what an answer tells, before it leaves. Called at most once, and only for an answer that is told. */
export type Note = (answer: Answer) => void;

/** Replies that tell of nothing that has to outlast the primary: refusals, and looks at locks. */
const NEEDS_NO_REPLICA: readonly string[] = [
  'advanced',
  'ahead',
  'board',
  'ended',
  'full',
  'held',
  'left',
  'listed',
  'locks',
  'min-hold',
  'moved',
  'quarantined',
  'queued',
  'refreshed',
  'reused',
  'revoked',
  'watched',
  'written',
];

const RETRY_SOON_MS = 500;
/**
 * How long to ask the Sentinels before a command when their last answers are too old, mostly because this process
 * stood still.
 */
const CONFIRM_BEFORE_MS = 250;

export class CommandLane {
  readonly #options: CommandLaneOptions;
  readonly #barriers = new WeakMap<Session, Map<number, CommitBarrier>>();
  #inFlight = 0;

  constructor(options: CommandLaneOptions) {
    this.#options = options;
  }

  /**
   * Runs a script and resolves with a reply that can be told to the caller. Rejects by `bound.deadlineMs` at the
   * latest.
   */
  run(name: ScriptName, args: readonly string[], bound: StoreBound, note?: Note): Promise<Answer> {
    if (this.#inFlight >= this.#options.maxInFlight) return Promise.reject(overloaded());
    return this.#attempt(name, args, bound, note, false);
  }

  // One promise for a command that nothing holds up: it's in the path of every call.
  async #attempt(
    name: ScriptName,
    args: readonly string[],
    bound: StoreBound,
    note: Note | undefined,
    isLast: boolean,
  ): Promise<Answer> {
    this.#inFlight++;
    try {
      const { clock, scripts } = this.#options;
      const session = this.#session();
      if (!this.#isConfirmed(session)) {
        // Not for safety, which the question after the reply is for. But without a majority nobody could be told of
        // what the command did, and leases that nobody learns of would take resources.
        const soonMs = Math.min(bound.deadlineMs, clock.monotonicMs() + CONFIRM_BEFORE_MS);
        if (!(await this.#confirmed(session, soonMs))) throw unconfirmed('nothing was changed');
      }
      const askedAtMs = clock.monotonicMs();
      const { trace, deadlineMs, isUrgent } = bound;
      const run = (): Promise<Reply> => session.run(scripts[name], args, deadlineMs, isUrgent);
      const reply = await (trace ? traced(trace, name, run) : run());
      if (reply[0] === 'late') {
        if (isLast) throw unavailable('Redis runs commands too late; nothing was changed');
        // It did nothing and brought a newer sample of Redis's time: once more with that.
        return await this.#attempt(name, args, bound, note, true);
      }
      if (reply[0] === 'reign') throw unavailable('another primary took over; nothing was changed');
      if (reply[0] === 'unregistered')
        throw unavailable('this instance has to register again; nothing was changed');
      const minAcks = Math.max(this.#options.minAcks, bound.minAcks ?? 0);
      const needsReplicas = minAcks > 0 && !NEEDS_NO_REPLICA.includes(reply[0]);
      const answer = { reply, askedAtMs, replicas: 0, session };
      if (!needsReplicas && this.#isConfirmed(session)) return this.#told(answer, note);
      return await this.#tellable(answer, needsReplicas ? minAcks : 0, bound, note);
    } finally {
      this.#inFlight--;
    }
  }

  async #tellable(answer: Answer, minAcks: number, bound: StoreBound, note?: Note): Promise<Answer> {
    const { session } = answer;
    const replicas = minAcks > 0 ? await this.#barrier(session, minAcks).pass(bound.deadlineMs) : 0;
    // The interleaving that this stops: the primary is isolated with this instance, the Sentinels elect another, and
    // its quarantine passes. Our primary still answers, and says "granted" for what the other has granted too. To ask
    // before the command isn't enough: the election may lie between the question and the reply.
    if (!this.#isConfirmed(session) && !(await this.#confirmed(session, bound.deadlineMs))) {
      throw unconfirmed('the outcome is unknown');
    }
    if (replicas > 0) bound.trace?.event('replicated', { replicas });
    return this.#told({ ...answer, replicas }, note);
  }

  #told(answer: Answer, note: Note | undefined): Answer {
    // The check and the note are one synchronous step, and this is the last thing that happens to an answer. The
    // interleaving: the check passes; before the store notes the lease, another reign is joined and its roll call
    // answered from what is noted; the caller is told of a lease that nobody put back.
    if (!this.#options.keeper.mayTell(answer.session, answer.askedAtMs)) {
      throw notTellable(
        'another reign has begun, or this instance has to register again; the outcome is unknown',
      );
    }
    note?.(answer);
    return answer;
  }

  /**
   * The same answer, once so many replicas have what it tells: for a wish that only the reply shows, such as that of an
   * operation's lock. Rejects by `bound.deadlineMs` at the latest.
   */
  async onReplicas(answer: Answer, minAcks: number, bound: StoreBound): Promise<Answer> {
    return minAcks <= answer.replicas ? answer : this.#tellable(answer, minAcks, bound);
  }

  #barrier(session: Session, minAcks: number): CommitBarrier {
    const barriers = this.#barriers.get(session) ?? new Map<number, CommitBarrier>();
    this.#barriers.set(session, barriers);
    const known = barriers.get(minAcks);
    if (known) return known;
    const { scripts, clock, connection, observer } = this.#options;
    const barrier = new CommitBarrier({
      session,
      connection,
      mark: scripts['mark-commit'],
      minAcks,
      clock,
      observer,
    });
    barriers.set(minAcks, barrier);
    return barrier;
  }

  #session(): Session {
    const { keeper } = this.#options;
    const refusal = keeper.rollCall?.refusal ?? '';
    if (refusal !== '') {
      const retryAfterMs = Math.max(keeper.rollCall?.newcomerRemainingMs ?? 0, RETRY_SOON_MS);
      throw new CoordinationError('REDIS_UNAVAILABLE', `${refusal}; nothing was changed`, { retryAfterMs });
    }
    const { session } = keeper;
    if (session && !session.over.aborted) return session;
    if (keeper.mismatch) {
      throw new CoordinationError('DEPLOYMENT_MISMATCH', keeper.mismatch, {
        retryAfterMs: 10 * RETRY_SOON_MS,
      });
    }
    throw unavailable('no primary can be used now; nothing was changed');
  }

  #isConfirmed(session: Session): boolean {
    return this.#options.locator.named(this.#askedSinceMs(session))?.key === session.primary.key;
  }

  async #confirmed(session: Session, deadlineMs: number): Promise<boolean> {
    const since = (): number => this.#askedSinceMs(session);
    const { key } = session.primary;
    const named = await this.#options.locator.awaitNamed(since, (now) => now.key === key, deadlineMs);
    return named !== undefined;
  }

  #askedSinceMs(session: Session): number {
    return Math.max(this.#options.clock.monotonicMs() - CONFIRMATION_WINDOW_MS, session.lateAtMs);
  }
}

async function traced(trace: Trace, name: ScriptName, work: () => Promise<Reply>): Promise<Reply> {
  const ended = trace.command(name);
  try {
    const reply = await work();
    ended(reply[0]);
    return reply;
  } catch (error) {
    ended('error');
    throw error;
  }
}

function unconfirmed(outcome: string): CoordinationError {
  return notTellable(`no majority of the Sentinels confirms the primary; ${outcome}`);
}

function notTellable(message: string): CoordinationError {
  return new CoordinationError('PRIMARY_UNCONFIRMED', message, { retryAfterMs: RETRY_SOON_MS });
}

function overloaded(): CoordinationError {
  return new CoordinationError('OVERLOADED', 'too many commands wait for Redis', {
    retryAfterMs: RETRY_SOON_MS,
  });
}

function unavailable(message: string): CoordinationError {
  return new CoordinationError('REDIS_UNAVAILABLE', message, { retryAfterMs: RETRY_SOON_MS });
}
