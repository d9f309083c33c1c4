// One Hold or KeepAlive stream: when it was sent, what it says, and that it has fallen silent. Owns no decision; what
// an event or an end means is held-lease.ts's business.

import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import type {
  HoldRequest,
  HoldResponse,
  KeepAliveResponse,
} from '../../generated/leasehold/v1/lock_service.ts';
import type { Timer } from '../domain/clock.ts';
import { CallError, localError } from './call-error.ts';
import type { Channel, Seat } from './channel.ts';
import type { SentAt } from './lease-deadline.ts';

export type LeaseMessage = NonNullable<HoldResponse['event'] | KeepAliveResponse['event']>;

export interface LeaseCallOptions {
  readonly channel: Channel;
  /** Servers say something every 15 s. */
  readonly silenceMs: number;
  readonly onMessage: (call: LeaseCall, message: LeaseMessage) => void;
  /** Once, unless it was cancelled here. */
  readonly onEnd: (call: LeaseCall, error: CallError) => void;
}

/** A lease that exists, as KeepAlive names it. */
export interface LeaseName {
  readonly resource: string;
  readonly leaseId: string;
  readonly fencingToken: bigint;
}

export class LeaseCall implements SentAt {
  readonly sentAtMs: number;
  readonly sentAtWallMs: number;
  readonly seat: Seat;
  /** Counts from the message that is being told. */
  silenceMs: number;
  readonly #options: LeaseCallOptions;
  readonly #stream: ClientReadableStream<HoldResponse | KeepAliveResponse>;
  readonly #ended: () => void;
  #silence: Timer | undefined;
  #isOver = false;

  constructor(options: LeaseCallOptions, request: HoldRequest | LeaseName) {
    const { channel } = options;
    this.#options = options;
    this.seat = channel.seat;
    this.silenceMs = options.silenceMs;
    this.sentAtMs = channel.clock.monotonicMs();
    this.sentAtWallMs = channel.clock.wallMs();
    const { locks } = this.seat.streams;
    this.#stream =
      'spec' in request
        ? locks.hold(request, channel.metadata())
        : locks.keepAlive({ leases: [{ ...request, ttl: undefined }] }, channel.metadata());
    this.#stream.on('data', ({ event }: HoldResponse | KeepAliveResponse) => {
      if (this.#isOver) return;
      if (event) options.onMessage(this, event);
      if (!this.#isOver) this.#listen(); // by then it may be clear how long it may be silent
    });
    this.#stream.on('error', (error: ServiceError) => this.#end(new CallError(error)));
    this.#stream.on('end', () => this.#end(localError(status.UNAVAILABLE, 'the stream ended')));
    this.#ended = channel.began(() => {
      this.#stream.cancel();
      this.#end(localError(status.CANCELLED, 'the channel is closed'));
    });
    this.#listen();
  }

  /** Nothing more is heard of it. */
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
