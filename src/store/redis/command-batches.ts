// Many commands in one call to Redis: a write and a read of the socket, the start of a script and a look at the reign
// cost as much as the commands themselves. What is asked in one turn of the event loop, or while two batches are on
// their way, goes together in the next one. A command that has no company goes at once, by its own script.
//
// One queue, so that nothing overtakes: a call that is cancelled sends its leave-queue behind its acquire-lock. If the
// leave ran first, it would find nothing, and the acquire would take the resource for nobody.

import type { Clock } from '../../domain/clock.ts';
import { CoordinationError } from '../../domain/errors.ts';
import { FirstDeadline } from '../../domain/first-deadline.ts';
import type { Connection } from './connection.ts';
import { evaluated, type Reply, replyOf, unanswered } from './evaluate-script.ts';
import type { Script, Scripts } from './scripts.ts';

/** What the batches of one session need of it. */
export interface CommandBatchesOptions {
  readonly connection: Connection;
  readonly scripts: Scripts;
  /** What each call begins with: its key, the reign, `not_after` and the caller. */
  readonly head: (deadlineMs: number) => readonly (string | number)[];
  readonly notAfterUs: (deadlineMs: number) => number;
  readonly clock: Clock;
  /** Aborts when nothing more may be sent. */
  readonly over: AbortSignal;
  /** A batch has been sent, with so many commands. */
  readonly sent: (commands: number) => void;
}

export interface BatchedCommand {
  readonly script: Script;
  readonly args: readonly string[];
  /** On the monotonic clock: one of the two below is called by then. */
  readonly deadlineMs: number;
  /** It doesn't wait for company, and so neither does what came before it. */
  readonly isUrgent: boolean;
  readonly replied: (reply: Reply) => void;
  /** With Redis's error, or a CoordinationError that says whether something may have been changed. */
  readonly failed: (error: unknown) => void;
}

/** A command that nobody waits for any more has its outcome. */
interface Pending extends BatchedCommand {
  isSettled: boolean;
}

/** Redis is busy with one while the next one is on its way: with more of them, fewer commands would go together. */
const IN_FLIGHT = 2;
/** So many go at once while Redis has less to do: it works on them while the rest of the turn is read. */
const ENOUGH_COMMANDS = 16;
/** Less than a millisecond of Redis. So many go at once, however many calls are on their way. */
const MOST_COMMANDS = 64;
/** Lua takes some 8,000 values out of a table at once. */
const MOST_ARGUMENTS = 4_000;
/** The name of a command, `not_after`, and how many arguments follow. */
const WORDS_BEFORE = 3;

export class CommandBatches {
  readonly #options: CommandBatchesOptions;
  #waiting: Pending[] = [];
  readonly #sent = new Set<readonly Pending[]>();
  #isDue = false;
  readonly #deadlines: FirstDeadline;

  constructor(options: CommandBatchesOptions) {
    this.#options = options;
    this.#deadlines = new FirstDeadline(options.clock, (nowMs) => this.#expire(nowMs));
    options.over.addEventListener('abort', () => this.#giveUp(), { once: true });
  }

  add(command: BatchedCommand): void {
    this.#waiting.push({ ...command, isSettled: false });
    this.#deadlines.add(command.deadlineMs);
    // A turn can be long, and replies are read between turns. If full batches waited for those, a busy process would
    // send two in each turn, and be busier with each. And what is urgent would wait for two turns.
    const enough = command.isUrgent ? 1 : this.#least(ENOUGH_COMMANDS);
    if (this.#waiting.length < enough) this.#flushSoon();
    else this.#flush(() => enough);
  }

  /** How many go at once; so few as `few` if Redis has less to do than it could. */
  #least(few: number): number {
    return this.#sent.size < IN_FLIGHT ? few : MOST_COMMANDS;
  }

  /** At the end of this turn of the event loop: what else is read from the sockets in it comes along. */
  #flushSoon(): void {
    if (this.#isDue || this.#waiting.length < this.#least(1)) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.#flush(() => this.#least(1));
    });
  }

  /** Sends as long as so many wait, which each batch may change. */
  #flush(least: () => number): void {
    while (this.#waiting.length >= least() && !this.#options.over.aborted) {
      const batch = this.#next();
      if (batch.length > 0) void this.#send(batch);
    }
  }

  /** The first of those that wait, as many as one call may hold. */
  #next(): readonly Pending[] {
    const batch: Pending[] = [];
    let words = 0;
    let taken = 0;
    for (const command of this.#waiting) {
      words += command.args.length + WORDS_BEFORE;
      if (batch.length === MOST_COMMANDS || (batch.length > 0 && words > MOST_ARGUMENTS)) break;
      taken++;
      // Its time was up while it waited, and nobody has noticed yet: this process may have stood still. (Redis would
      // refuse it as late.)
      if (command.deadlineMs <= this.#options.clock.monotonicMs()) this.#settle(command, unsent());
      if (!command.isSettled) batch.push(command);
    }
    this.#waiting = this.#waiting.slice(taken);
    return batch;
  }

  async #send(batch: readonly Pending[]): Promise<void> {
    this.#sent.add(batch);
    this.#options.sent(batch.length);
    try {
      await this.#evaluate(batch, 'batch');
    } catch (error) {
      for (const command of batch) this.#settle(command, error);
    }
    this.#sent.delete(batch);
    this.#flushSoon();
  }

  async #evaluate(batch: readonly Pending[], as: 'batch' | 'batch-when-full'): Promise<void> {
    const { connection, scripts, head } = this.#options;
    const [alone] = batch.length === 1 ? batch : [];
    if (alone) {
      const { script, args, deadlineMs } = alone;
      const reply = await evaluated(connection, script, [...head(deadlineMs), ...args]);
      this.#settle(alone, replyOf(script.name, reply));
      return;
    }
    try {
      this.#settleAll(batch, await evaluated(connection, scripts[as], this.#wordsOf(batch)));
    } catch (error) {
      // Redis is full, and has run none of them. Some can run all the same: they are what makes room.
      if (as === 'batch-when-full' || !isOutOfMemory(error)) throw error;
      for (const command of batch) if (!command.script.allowsOom) this.#settle(command, error);
      const rest = batch.filter(({ isSettled }) => !isSettled);
      if (rest.length > 0) await this.#evaluate(rest, 'batch-when-full');
    }
  }

  #wordsOf(batch: readonly Pending[]): readonly (string | number)[] {
    const { head, notAfterUs } = this.#options;
    let lastMs = 0;
    for (const { deadlineMs } of batch) lastMs = Math.max(lastMs, deadlineMs);
    const words = [...head(lastMs)];
    for (const { script, args, deadlineMs } of batch) {
      words.push(script.name, notAfterUs(deadlineMs), args.length);
      for (const arg of args) words.push(arg);
    }
    return words;
  }

  #settleAll(batch: readonly Pending[], replies: unknown): void {
    // One refusal of all: late, or under another reign.
    const ofAll = Array.isArray(replies) ? replyOf('batch', replies) : undefined;
    const lines = String(replies).split('\n');
    if (!ofAll && lines.length !== batch.length) throw new Error('batch: another number of replies');
    for (let index = 0; index < batch.length; index++) {
      const command = batch[index] as Pending; // below its length
      // What a script of ours replies has a word and the time.
      const reply = ofAll ?? (lines[index]?.split('\t') as unknown as Reply);
      this.#settle(command, reply[0] === 'error' ? errorOf(reply) : reply);
    }
  }

  /** `outcome`: a reply, or an error. */
  #settle(command: Pending, outcome: unknown): void {
    if (command.isSettled) return;
    command.isSettled = true;
    if (Array.isArray(outcome)) command.replied(outcome as unknown as Reply);
    else command.failed(outcome);
  }

  /** The session is over: what was sent may still be answered, what was not stays undone. */
  #giveUp(): void {
    for (const command of this.#waiting) this.#settle(command, unsent());
    this.#waiting = [];
  }

  #expire(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    const look = (command: Pending, late: () => CoordinationError): void => {
      if (command.deadlineMs <= nowMs) this.#settle(command, late());
      else if (!command.isSettled) nextMs = Math.min(nextMs, command.deadlineMs);
    };
    for (const command of this.#waiting) look(command, unsent);
    for (const batch of this.#sent) for (const command of batch) look(command, unanswered);
    this.#waiting = this.#waiting.filter(({ isSettled }) => !isSettled);
    return nextMs;
  }
}

function unsent(): CoordinationError {
  return new CoordinationError('REDIS_UNAVAILABLE', 'Redis was not asked in time; nothing was changed');
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && /^OOM\b/.test(error.message);
}

/** As if the command had run alone: Redis's own error. */
function errorOf([, , message = '']: Reply): Error {
  return Object.assign(new Error(message), { name: 'ReplyError' });
}
