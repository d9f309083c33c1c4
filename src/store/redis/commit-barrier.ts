// Holds answers back until replicas have what they tell. Many answers pass at once: the barrier writes one mark behind
// all of them, on a connection of its own, and asks for the mark with one WAIT. A WAIT for each call would block the
// connection, and with it every other call.
//
// The interleaving that needs the mark's reign check: this node restarts empty between a reply and the mark. Its
// replicas acknowledge the mark of the new data, and the caller would be told of something that nobody has.

import { type Clock, within } from '../../domain/clock.ts';
import { CoordinationError } from '../../domain/errors.ts';
import { FirstDeadline } from '../../domain/first-deadline.ts';
import type { StoreObserver } from '../store.ts';
import { Connection, type ConnectionSettings } from './connection.ts';
import { evaluate, type Reply, replyOf } from './evaluate-script.ts';
import type { Script } from './scripts.ts';
import type { Session } from './session.ts';

export interface CommitBarrierOptions {
  /** Answers of this session pass here; its end is the barrier's. */
  readonly session: Session;
  readonly connection: ConnectionSettings;
  readonly mark: Script;
  /** How many replicas must have it, one number per barrier: a call that wants more than exist holds up no other. */
  readonly minAcks: number;
  readonly clock: Clock;
  readonly observer: StoreObserver;
}

interface Passer {
  readonly deadlineMs: number;
  readonly resolve: (acks: number) => void;
  readonly reject: (error: CoordinationError) => void;
}

const NOBODY: readonly Passer[] = [];

/** WAIT gives up so long before the last passer does, so that its answer still arrives. */
const ANSWER_BEFORE_MS = 50;
const SHORTEST_WAIT_MS = 10;
const RETRY_SOON_MS = 500;

export class CommitBarrier {
  readonly #options: CommitBarrierOptions;
  readonly #deadlines: FirstDeadline;
  #queue: Passer[] = [];
  /** Those for which a WAIT is under way. */
  #running = NOBODY;
  #connection: Connection | undefined;

  constructor(options: CommitBarrierOptions) {
    this.#options = options;
    this.#deadlines = new FirstDeadline(options.clock, (nowMs) => this.#expire(nowMs));
    options.session.over.addEventListener('abort', () => this.#connection?.destroy(), { once: true });
  }

  /**
   * Resolves with the number of replicas that have everything which Redis replied before this call, once they are
   * enough. Throws DURABILITY_UNMET, by `deadlineMs` at the latest.
   */
  pass(deadlineMs: number): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      this.#queue.push({ deadlineMs, resolve, reject });
      this.#deadlines.add(deadlineMs);
      void this.#run();
    });
  }

  /** A passer whose promise is settled already, or still to come, notices nothing. */
  #expire(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { deadlineMs, reject } of [...this.#running, ...this.#queue]) {
      if (deadlineMs <= nowMs) reject(unmet('they did not answer in time'));
      else nextMs = Math.min(nextMs, deadlineMs);
    }
    return nextMs;
  }

  // One batch at a time: what comes while a WAIT is under way belongs to the next one.
  async #run(): Promise<void> {
    if (this.#running !== NOBODY) return;
    const { minAcks, clock, observer } = this.#options;
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      this.#running = batch;
      try {
        const startedMs = clock.monotonicMs();
        const acks = await this.#commit(batch);
        if (acks >= minAcks) observer.committed(batch.length, clock.monotonicMs() - startedMs);
        for (const { resolve, reject } of batch) {
          if (acks >= minAcks) resolve(acks);
          else reject(unmet(`${acks} of ${minAcks} acknowledged`));
        }
      } catch (error) {
        this.#connection?.destroy();
        this.#connection = undefined;
        for (const { reject } of batch) reject(unmet('the primary could not be asked', error));
      }
    }
    this.#running = NOBODY;
  }

  async #commit(batch: readonly Passer[]): Promise<number> {
    const { session, mark, minAcks, clock } = this.#options;
    const lastMs = Math.max(...batch.map(({ deadlineMs }) => deadlineMs));
    const connection = await this.#open(lastMs);
    const waitMs = Math.ceil(Math.max(lastMs - clock.monotonicMs() - ANSWER_BEFORE_MS, SHORTEST_WAIT_MS));
    // Both at once: Redis writes the mark before it waits.
    const marked = connection.call('EVALSHA', mark.sha1, ...session.head(lastMs));
    const acked = connection.call('WAIT', minAcks, waitMs);
    const limitMs = waitMs + 2 * ANSWER_BEFORE_MS;
    const [reply, acks] = await within(clock, limitMs, Promise.all([marked, acked]), noReply);
    this.#expectMarked(replyOf(mark.name, reply));
    return Number(acks);
  }

  /** Otherwise it says nothing which replicas acknowledged. */
  #expectMarked([word]: Reply): void {
    this.#options.session.retireOn(word);
    if (word !== 'marked') throw new Error(`the mark was refused: ${word}`);
  }

  /** A connection on which Redis knows the script. */
  async #open(deadlineMs: number): Promise<Connection> {
    const { session, connection: settings, mark, clock } = this.#options;
    if (this.#connection && !this.#connection.isClosed) return this.#connection;
    if (session.over.aborted) throw new Error('the session is over');
    const connection = await Connection.open(session.connection.address, settings, clock, session.over);
    // The session may have ended while it opened, and then nobody would close it.
    if (session.over.aborted) {
      connection.destroy();
      throw new Error('the session is over');
    }
    this.#connection = connection;
    const first = evaluate(connection, mark, session.head(deadlineMs));
    this.#expectMarked(await within(clock, deadlineMs - clock.monotonicMs(), first, noReply));
    return connection;
  }
}

function noReply(): Error {
  return new Error('no reply in time');
}

function unmet(why: string, cause?: unknown): CoordinationError {
  const message = `too few replicas have it: ${why}; the outcome is unknown`;
  return new CoordinationError('DURABILITY_UNMET', message, { retryAfterMs: RETRY_SOON_MS }, cause);
}
