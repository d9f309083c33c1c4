// One server stream of any kind: when it was sent, what it says, whether it has fallen silent, and how a reader slows
// it down. Its owner decides what a message or an end means.

import type { ClientReadableStream, Metadata, ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import type { Timer } from '../../domain/clock.ts';
import { CallError, channelClosed, localError } from './call-error.ts';
import type { Channel, Seat, Stubs } from './channel.ts';
import type { SentAt } from './lease-deadline.ts';

export type OpenStream<Message> = (stubs: Stubs, metadata: Metadata) => ClientReadableStream<Message>;

export interface StreamCallOptions<Message> {
  readonly channel: Channel;
  /** How many milliseconds the stream may say nothing. Servers say something every 15 s. */
  readonly silenceMs: number;
  readonly onMessage: (call: StreamCall<Message>, message: Message) => void;
  /** Called once, unless the stream was cancelled here. */
  readonly onEnd: (call: StreamCall<Message>, error: CallError) => void;
}

export class StreamCall<Message> implements SentAt {
  readonly sentAtMs: number;
  readonly sentAtWallMs: number;
  readonly seat: Seat;
  /** In milliseconds. A change counts from the message that is being told. */
  silenceMs: number;
  readonly #options: StreamCallOptions<Message>;
  readonly #stream: ClientReadableStream<Message>;
  readonly #ended: () => void;
  #isPaused = false;
  #silence: Timer | undefined;
  #isOver = false;

  /** Throws CallError, CANCELLED, on a closed channel. */
  constructor(options: StreamCallOptions<Message>, open: OpenStream<Message>) {
    const { channel } = options;
    this.#options = options;
    this.silenceMs = options.silenceMs;
    this.seat = channel.seat;
    this.sentAtMs = channel.clock.monotonicMs();
    this.sentAtWallMs = channel.clock.wallMs();
    this.#stream = open(this.seat.streams, channel.metadata());
    this.#stream.on('data', (message: Message) => {
      if (this.#isOver) return;
      options.onMessage(this, message);
      this.#listen(); // the message may have set how long the stream may be silent
    });
    this.#stream.on('error', (error: ServiceError) => this.#end(new CallError(error)));
    this.#stream.on('end', () => this.#end(localError(status.UNAVAILABLE, 'the stream ended')));
    this.#ended = channel.began(() => {
      this.#stream.cancel();
      this.#end(channelClosed());
    });
    this.#listen();
  }

  /** Stops messages until `resume`. Nor does silence count meanwhile: no one listens. */
  pause(): void {
    this.#isPaused = true;
    this.#silence?.cancel();
    this.#stream.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#isOver) return;
    this.#listen();
    this.#stream.resume();
  }

  /** Ends it: no callback is called any more. */
  cancel(): void {
    this.#over();
    this.#stream.cancel();
  }

  #over(): void {
    this.#isOver = true;
    this.#silence?.cancel();
    this.#ended();
  }

  #listen(): void {
    const { silenceMs } = this;
    this.#silence?.cancel();
    if (this.#isOver || this.#isPaused) return;
    this.#silence = this.#options.channel.clock.after(silenceMs, () => {
      this.#stream.cancel();
      this.#end(localError(status.UNAVAILABLE, `the server said nothing for ${Math.round(silenceMs)} ms`));
    });
  }

  #end(error: CallError): void {
    if (this.#isOver) return;
    this.#over();
    this.#options.onEnd(this, error);
  }
}
