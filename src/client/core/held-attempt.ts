// An attempt at an operation that this client holds: until when, by the deadline rule, and how it ended. Streams keep
// it alive (kept-streams.ts), as they do a lease (held-lease.ts); unlike a lease it can be asked to cancel.
//
//   held ──▶ ended   (end: the worker completed it or gave it back)
//     └────▶ lost    (said by a server, or the deadline)

import type { AtRiskReason } from '../../../generated/leasehold/v1/lease_events.ts';
import type { Attempt } from '../../../generated/leasehold/v1/operation.ts';
import type {
  AttemptLost,
  KeepAliveOperationResponse,
} from '../../../generated/leasehold/v1/operation_store_service.ts';
import type { Channel } from './channel.ts';
import { KeptStreams } from './kept-streams.ts';
import { LeaseDeadline, type SentAt } from './lease-deadline.ts';
import type { StreamCall } from './stream-call.ts';
import { msOf } from './time-spans.ts';

export type HeldAttemptEvent =
  | { readonly kind: 'renewed' }
  | { readonly kind: 'at-risk'; readonly reason: AtRiskReason }
  /** Its stream ended or moves; the attempt is still held. */
  | { readonly kind: 'reopened'; readonly why: string }
  /** Every new stream says it again. */
  | { readonly kind: 'cancel-requested'; readonly reason: string }
  /** Without a `reason` the deadline passed here, whatever the servers know. */
  | { readonly kind: 'lost'; readonly reason: AttemptLost['reason'] | undefined };

/** How every write of its worker names an attempt. */
export interface AttemptName {
  readonly resource: string;
  readonly operationId: string;
  readonly claimId: string;
  readonly fencingToken: bigint;
}

export class HeldAttempt {
  readonly name: AttemptName;
  readonly #channel: Channel;
  readonly #observer: (event: HeldAttemptEvent) => void;
  readonly #deadline: LeaseDeadline;
  readonly #streams: KeptStreams<KeepAliveOperationResponse>;
  #state: 'held' | 'ended' | 'lost' = 'held';

  /** Keeps an attempt that an answer brought; `sent` is when its call was sent. The observer must not throw. */
  constructor(
    channel: Channel,
    name: AttemptName,
    attempt: Attempt,
    sent: SentAt,
    observer: (event: HeldAttemptEvent) => void,
  ) {
    this.name = name;
    this.#channel = channel;
    this.#observer = observer;
    this.#deadline = new LeaseDeadline({ clock: channel.clock, onPassed: () => this.lose(undefined) });
    this.#streams = new KeptStreams<KeepAliveOperationResponse>({
      channel,
      open: ({ operations }, metadata) =>
        operations.keepAliveOperation({ ...name, renewFor: undefined }, metadata),
      onMessage: (from, message) => this.#heard(from, message),
      onReopen: (why) => this.#observer({ kind: 'reopened', why }),
      remainingMs: () => this.remainingMs(),
    });
    if (this.extend(attempt, sent)) this.#streams.open();
  }

  get state(): 'held' | 'ended' | 'lost' {
    if (this.#state === 'held' && this.#deadline.remainingMs() === 0) this.lose(undefined);
    return this.#state;
  }

  /** Milliseconds until the deadline; 0 when the attempt is over. */
  remainingMs(): number {
    return this.#state === 'held' ? this.#deadline.remainingMs() : 0;
  }

  /** Takes over how long any answer says that it is valid. Says whether it is held. */
  extend({ validFor }: Attempt, sent: SentAt): boolean {
    if (this.#state !== 'held') return false;
    const validForMs = msOf(validFor) ?? 0;
    const leftMs = validForMs - (this.#channel.clock.monotonicMs() - sent.sentAtMs);
    this.#streams.ttlMs = Math.max(this.#streams.ttlMs, leftMs);
    return this.#deadline.extend(sent, validForMs, this.#streams.ttlMs);
  }

  /** Ends it because an answer said that it is over. */
  lose(reason: AttemptLost['reason'] | undefined): void {
    if (this.#state !== 'held') return;
    this.#state = 'lost';
    this.#deadline.end();
    // Said by a server, which ends the stream too; or by nobody.
    if (reason === undefined) this.#streams.stop();
    else void this.#streams.finish();
    this.#observer({ kind: 'lost', reason });
  }

  /**
   * Ends it because the work has ended and a server was told: nothing keeps it alive any more, and the observer hears
   * nothing more. Waits a little for the server to end the stream.
   */
  async end(): Promise<void> {
    if (this.#state !== 'held') return;
    this.#state = 'ended';
    this.#deadline.end();
    await this.#streams.finish();
  }

  #heard(from: StreamCall<KeepAliveOperationResponse>, { event }: KeepAliveOperationResponse): void {
    if (this.#state !== 'held') return;
    switch (event?.$case) {
      case 'renewed':
        if (!this.extend(event.value, from)) return;
        this.#streams.renewed(from);
        this.#observer({ kind: 'renewed' });
        break;
      case 'atRisk':
        this.#streams.atRisk(from, event.value.reason);
        this.#observer({ kind: 'at-risk', reason: event.value.reason });
        break;
      case 'cancelRequested':
        this.#observer({ kind: 'cancel-requested', reason: event.value.reason });
        break;
      case 'lost':
        this.lose(event.value.reason);
        break;
      case 'draining':
        this.#streams.draining(from);
        break;
      case 'moved': // the end of the stream says more
      case undefined:
    }
  }
}
