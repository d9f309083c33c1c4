// A server stream as an async iterable. It reads as fast as its reader asks, so that a slow reader costs no memory here
// and the server can leave out what is obsolete by then.

import type { CallError } from './call-error.ts';
import type { Channel } from './channel.ts';
import { type OpenStream, StreamCall } from './stream-call.ts';

export interface ReadOptions {
  readonly silenceMs?: number;
  /** Its abort ends the iteration. */
  readonly signal?: AbortSignal | undefined;
}

const SILENCE_MS = 20_000;
/** How many messages wait here for the reader before the stream is paused. */
const MOST_UNREAD = 64;

/** Throws the CallError that the stream ends with; returns only after `signal` aborts. */
export async function* readStream<Message>(
  channel: Channel,
  open: OpenStream<Message>,
  { silenceMs = SILENCE_MS, signal }: ReadOptions = {},
): AsyncGenerator<Message, void, undefined> {
  if (signal?.aborted) return;
  const unread: Message[] = [];
  let ended: CallError | undefined;
  let wake: () => void = () => {};
  const call = new StreamCall<Message>(
    {
      channel,
      kind: 'waiting',
      silenceMs,
      onMessage: (from, message) => {
        unread.push(message);
        if (unread.length >= MOST_UNREAD) from.pause();
        wake();
      },
      onEnd: (_from, error) => {
        ended = error;
        wake();
      },
    },
    open,
  );
  const onAbort = (): void => wake();
  signal?.addEventListener('abort', onAbort);
  try {
    while (!signal?.aborted) {
      const message = unread.shift();
      if (message !== undefined) {
        yield message;
        continue;
      }
      if (ended) throw ended;
      call.resume();
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    call.cancel();
  }
}
