// One connection under one reign, on which scripts are sent. Sends them, or has them sent together
// (command-batches.ts), bounds the wait for their replies, keeps the newest sample of Redis's time, and says when it
// must not be used any more. It never outlives its connection, and its reign never changes: after a failover, a restart
// or a new config epoch, primary-keeper.ts makes a new one.

import { type Clock, within } from '../../domain/clock.ts';
import { CoordinationError } from '../../domain/errors.ts';
import type { StoreObserver } from '../store.ts';
import { CommandBatches } from './command-batches.ts';
import type { Connection } from './connection.ts';
import { evaluate, type Reply, unanswered } from './evaluate-script.ts';
import type { NamedPrimary } from './primary-locator.ts';
import type { Script, Scripts } from './scripts.ts';

export interface SessionOptions {
  readonly connection: Connection;
  readonly scripts: Scripts;
  /** The one key that scripts declare. */
  readonly metaKey: string;
  readonly primary: NamedPrimary;
  readonly reign: string;
  readonly epoch: number;
  /** The instance, as the registry knows it; '-' where there is no roll call. */
  readonly caller: string;
  readonly clock: Clock;
  readonly observer: StoreObserver;
  /** Redis's TIME in microseconds, and when on the monotonic clock its reply arrived. */
  readonly sample: TimeSample;
}

export interface TimeSample {
  readonly timeUs: number;
  readonly atMs: number;
}

// Redis refuses these before the script begins: nothing was done.
const NOTHING_DONE = /\b(READONLY|OOM|LOADING|BUSY|MASTERDOWN|MISCONF|NOREPLICAS|NOAUTH|NOPERM|WRONGPASS)\b/;

/** What Redis says before a script begins, and in the middle of one: 7.0, and what came after it. */
const LACKS_A_RIGHT = /\bNOPERM\b|user executing the script can't|ACL failure in script/;

export class Session {
  readonly primary: NamedPrimary;
  readonly reign: string;
  readonly epoch: number;
  readonly caller: string;
  readonly connection: Connection;
  /** Aborts when no further command may be sent here; those in flight may still be answered. */
  readonly over: AbortSignal;
  readonly #clock: Clock;
  readonly #observer: StoreObserver;
  readonly #over = new AbortController();
  readonly #metaKey: string;
  readonly #batches: CommandBatches;
  #sample: TimeSample;
  #lateAtMs = 0;

  constructor(options: SessionOptions) {
    this.connection = options.connection;
    this.primary = options.primary;
    this.reign = options.reign;
    this.epoch = options.epoch;
    this.caller = options.caller;
    this.#clock = options.clock;
    this.#observer = options.observer;
    this.#sample = options.sample;
    this.over = this.#over.signal;
    this.#metaKey = options.metaKey;
    this.#batches = new CommandBatches({
      connection: options.connection,
      scripts: options.scripts,
      head: (deadlineMs) => this.head(deadlineMs),
      notAfterUs: (deadlineMs) => this.#notAfterUs(deadlineMs),
      clock: options.clock,
      over: this.over,
      sent: (commands) => options.observer.batchSent?.(commands),
    });
    void this.connection.closed.then((error) => this.retire(error?.message ?? 'connection closed'));
  }

  /**
   * When a command was last refused as late, on the monotonic clock. It may have stood still: a suspended machine's
   * does, and then what the Sentinels said before looks fresh and is not. Nothing older may confirm an answer.
   */
  get lateAtMs(): number {
    return this.#lateAtMs;
  }

  /** No further commands; the reason is for the log. */
  retire(reason: string): void {
    if (!this.#over.signal.aborted) this.#over.abort(reason);
  }

  /** Some replies say that no command can run on this session any more, and that nothing was done. */
  retireOn(word: string): void {
    if (word === 'reign') this.retire('another reign began');
    // The registry has dropped this instance, or lost it. A promoted replica that doesn't know it waits for no answer
    // of it: so it must tell nothing before it has registered again, and waited.
    if (word === 'contested') this.retire('another process uses the id of this one');
    if (word === 'unregistered') this.retire('this instance is not registered any more');
  }

  /**
   * Redis's TIME at our `deadlineMs`, as far as the newest sample tells. The sample was taken before it
   * arrived, so this errs towards too early: a command may be refused as late that was not, never the
   * reverse.
   */
  #notAfterUs(deadlineMs: number): number {
    return Math.floor(this.#sample.timeUs + (deadlineMs - this.#sample.atMs) * 1_000);
  }

  /** What the arguments of every script begin with: how many keys, the key, and the first three of each. */
  head(deadlineMs: number): readonly (string | number)[] {
    return [1, this.#metaKey, this.reign, this.#notAfterUs(deadlineMs), this.caller];
  }

  /**
   * Runs a script, perhaps together with others, with `reign`, `not_after` and the caller as its first arguments, and
   * resolves with its reply. Throws REDIS_UNAVAILABLE or STORE_FULL where nothing was done, OUTCOME_UNKNOWN where no
   * reply came by `deadlineMs`.
   */
  run(script: Script, args: readonly string[], deadlineMs: number, isUrgent = false): Promise<Reply> {
    const startedMs = this.#clock.monotonicMs();
    return new Promise((resolve, reject) => {
      const replied = (reply: Reply): void => {
        this.#heard(script, reply, startedMs);
        resolve(reply);
      };
      const failed = (error: unknown): void => {
        this.#observer.commandEnded(script.name, 'error', this.#clock.monotonicMs() - startedMs);
        reject(this.#classified(error));
      };
      if (deadlineMs <= startedMs) {
        failed(new CoordinationError('DEADLINE_EXCEEDED', 'no time left to ask Redis'));
      } else if (script.isBatched) {
        this.#batches.add({ script, args, deadlineMs, isUrgent, replied, failed });
      } else {
        const work = evaluate(this.connection, script, [...this.head(deadlineMs), ...args]);
        within(this.#clock, deadlineMs - startedMs, work, unanswered).then(replied, failed);
      }
    });
  }

  #heard({ name }: Script, reply: Reply, startedMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    const [outcome] = reply;
    this.#sample = { timeUs: Number(reply[1]), atMs: nowMs };
    this.retireOn(outcome);
    if (outcome === 'late') this.#lateAtMs = nowMs;
    this.#observer.commandEnded(name, outcome, nowMs - startedMs);
  }

  #classified(error: unknown): CoordinationError {
    if (error instanceof CoordinationError) return error;
    const text = error instanceof Error ? error.message : String(error);
    // The next connection finds out which right is missing.
    if (LACKS_A_RIGHT.test(text)) this.retire('the Redis user has lost a right');
    if (!NOTHING_DONE.test(text)) {
      // Redis answered with an error of the script itself: a defect, and it may have written before.
      if (error instanceof Error && error.name === 'ReplyError') {
        return new CoordinationError('INTERNAL', 'an internal error; the outcome is unknown', {}, error);
      }
      const message = 'the connection to Redis ended before the reply';
      return new CoordinationError('OUTCOME_UNKNOWN', message, {}, error);
    }
    if (/\bOOM\b/.test(text)) {
      return new CoordinationError('STORE_FULL', 'Redis is out of memory; nothing was changed', {}, error);
    }
    if (/\b(READONLY|MASTERDOWN)\b/.test(text)) this.retire('the node is no primary any more');
    return new CoordinationError(
      'REDIS_UNAVAILABLE',
      'Redis refuses commands now; nothing was changed',
      {},
      error,
    );
  }
}
