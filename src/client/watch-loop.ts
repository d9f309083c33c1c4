// Watches without a gap: one stream after another, each of which begins with a snapshot. A watch ends when its reader
// stops reading and when its signal aborts; it ends with an error when what is wrong doesn't pass or no server answers.

import { fullJitterMs } from '../domain/backoff.ts';
import type { Caller } from './client-calls.ts';
import { CallError } from './core/call-error.ts';
import { readStream } from './core/read-stream.ts';
import type { OpenStream } from './core/stream-call.ts';
import { BACKOFF } from './core/unary-call.ts';
import { waitMsOf } from './number-options.ts';

export interface WatchOptions {
  /** Its abort ends the watch: the iteration is over, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** How long it may be without a server before it throws, in milliseconds; 30 s by default, Infinity for ever. */
  readonly timeoutMs?: number | undefined;
}

const WITHOUT_SERVER_MS = 30_000;

/** Yields `undefined` at the beginning of each snapshot. */
export async function* watchAgain<Message>(
  caller: Caller,
  open: OpenStream<Message>,
  options: WatchOptions,
): AsyncGenerator<Message | undefined, void, undefined> {
  const { channel } = caller;
  const { signal } = options;
  const timeoutMs = waitMsOf('timeoutMs', options.timeoutMs, WITHOUT_SERVER_MS);
  let giveUpMs: number | undefined = channel.clock.monotonicMs() + timeoutMs;
  for (let failures = 0; !signal?.aborted; ) {
    let seat: typeof channel.seat | undefined;
    try {
      seat = channel.seat;
      yield undefined;
      for await (const message of readStream(channel, open, { signal })) {
        failures = 0;
        giveUpMs = undefined;
        yield message;
      }
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      giveUpMs ??= channel.clock.monotonicMs() + timeoutMs;
      const waitMs = Math.max(error.retryAfterMs ?? 0, fullJitterMs(failures++, BACKOFF, channel.random));
      const isOver = channel.clock.monotonicMs() + waitMs >= giveUpMs;
      const isPassing = error.isPassing || error.reason === 'WATCHER_TOO_SLOW';
      if (!isPassing || isOver || !seat) throw caller.translated(error);
      if (error.reason !== 'WATCHER_TOO_SLOW') channel.leave(seat);
      await channel.pause(waitMs, signal);
      await channel.afterHolders(giveUpMs - channel.clock.monotonicMs(), signal);
    }
  }
}
