// One server stream of any kind: when it was sent, what it says, whether it has fallen silent, and how a reader slows
// it down. Its owner decides what a message or an end means.

import type { ClientReadableStream, Metadata, ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { CallError, channelClosed, localError } from './call-error.ts';
import type { Channel, ConnectionKind, Seat } from './channel.ts';
import type { Place, Stubs } from './connections.ts';
import type { SentAt } from './lease-deadline.ts';
import { QuietTimer } from './quiet-timer.ts';

export type OpenStream<Message> = (stubs: Stubs, metadata: Metadata) => ClientReadableStream<Message>;

export interface StreamCallOptions<Message> {
  readonly channel: Channel;
  readonly kind: Exclude<ConnectionKind, 'calls'>;
  /** False: it serves several holders, and no caller waits for it. */
  readonly isCallers?: boolean;
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
  readonly #options: StreamCallOptions<Message>;
  readonly #stream: ClientReadableStream<Message>;
  readonly #ended: () => void;
  readonly #place: Place;
  readonly #silence: QuietTimer;
  #silenceMs: number;
  #wasHeard = false;
  #isPaused = false;
  #isOver = false;

  /** Throws CallError, CANCELLED, on a closed channel. */
  constructor(options: StreamCallOptions<Message>, open: OpenStream<Message>) {
    const { channel } = options;
    this.#options = options;
    this.#silenceMs = options.silenceMs;
    this.#silence = new QuietTimer(channel.clock, () => this.#isSilent());
    this.seat = channel.seat;
    this.sentAtMs = channel.clock.monotonicMs();
    this.sentAtWallMs = channel.clock.wallMs();
    const metadata = channel.metadata(options.isCallers); // it may throw
    this.#place = this.seat[options.kind].take();
    this.#stream = open(this.#place.stubs, metadata);
    this.#stream.on('data', (message: Message) => {
      if (this.#isOver) return;
      this.#wasHeard = true;
      this.#silence.heard();
      options.onMessage(this, message);
    });
    this.#stream.on('error', (error: ServiceError) => this.#end(new CallError(error)));
    this.#stream.on('end', () => this.#end(localError(status.UNAVAILABLE, 'the stream ended')));
    this.#ended = channel.began(() => {
      this.#stream.cancel();
      this.#end(channelClosed());
    });
    this.#listen();
  }

  /** Whether the server has said anything. */
  get wasHeard(): boolean {
    return this.#wasHeard;
  }

  /** How long it may be silent from now on, in milliseconds. */
  set silenceMs(ms: number) {
    if (ms === this.#silenceMs) return;
    this.#silenceMs = ms;
    this.#listen();
  }

  /** The error of a stream that nobody answers. */
  unanswered(): CallError {
    return localError(status.UNAVAILABLE, `the server does not answer${this.#crowd()}`);
  }

  /** Stops messages until `resume`. Nor does silence count meanwhile: no one listens. */
  pause(): void {
    this.#isPaused = true;
    this.#silence.stop();
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
    if (this.#isOver) return;
    this.#isOver = true;
    this.#silence.stop();
    this.#place.free();
    this.#ended();
  }

  #listen(): void {
    if (!this.#isOver && !this.#isPaused) this.#silence.start(this.#silenceMs);
  }

  #isSilent(): void {
    const silent = `the server said nothing for ${Math.round(this.#silenceMs)} ms`;
    const error = localError(status.UNAVAILABLE, `${silent}${this.#crowd()}`);
    this.#stream.cancel();
    this.#end(error);
  }

  #crowd(): string {
    return this.#wasHeard ? '' : this.#place.crowd;
  }

  #end(error: CallError): void {
    if (this.#isOver) return;
    this.#over();
    this.#options.onEnd(this, error);
  }
}
