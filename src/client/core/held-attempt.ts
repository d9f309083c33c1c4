// An attempt at an operation that this client holds: until when, by the deadline rule, and how it ended. A keeper keeps
// it alive (keeper.ts), as it does a lease (held-lease.ts); unlike a lease it can be asked to cancel.
//
//   held ──▶ ended   (end: the worker completed it or gave it back)
//     └────▶ lost    (said by a server, or the deadline)

import type { AtRiskReason } from '../../../generated/leasehold/v1/lease_events.ts';
import type { Attempt } from '../../../generated/leasehold/v1/operation.ts';
import type {
  AttemptLost,
  KeepAliveOperationResponse,
} from '../../../generated/leasehold/v1/operation_store_service.ts';
import { channelClosed } from './call-error.ts';
import type { Channel } from './channel.ts';
import { type AttemptName, type KeptAttempt, keepersOf } from './keepers.ts';
import { LeaseDeadline, type SentAt } from './lease-deadline.ts';
import { msOf } from './time-spans.ts';

export type HeldAttemptEvent =
  | { readonly kind: 'renewed' }
  | { readonly kind: 'at-risk'; readonly reason: AtRiskReason }
  /** Its stream broke or moves; the attempt is still held. */
  | { readonly kind: 'reopened'; readonly why: string }
  /** Every new stream says it again. */
  | { readonly kind: 'cancel-requested'; readonly reason: string }
  /** Without a `reason` the deadline passed here, whatever the servers know. */
  | { readonly kind: 'lost'; readonly reason: AttemptLost['reason'] | undefined };

export class HeldAttempt implements KeptAttempt {
  readonly name: AttemptName;
  readonly #channel: Channel;
  readonly #observer: (event: HeldAttemptEvent) => void;
  readonly #deadline: LeaseDeadline;
  #state: 'held' | 'ended' | 'lost' = 'held';

  /**
   * Keeps an attempt that an answer brought; `sent` is when its call was sent. The observer must not throw. Throws
   * CallError, CANCELLED, on a closed channel.
   */
  constructor(
    channel: Channel,
    name: AttemptName,
    attempt: Attempt,
    sent: SentAt,
    observer: (event: HeldAttemptEvent) => void,
  ) {
    if (channel.isClosed) throw channelClosed();
    this.name = name;
    this.#channel = channel;
    this.#observer = observer;
    this.#deadline = new LeaseDeadline({ clock: channel.clock, onPassed: () => this.lose(undefined) });
    if (this.extend(attempt, sent)) keepersOf(channel).attempts.join(this);
  }

  get key(): string {
    return this.name.claimId + this.name.operationId + this.name.resource;
  }

  get ttlMs(): number {
    return this.#deadline.ttlMs;
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
    return this.#deadline.answered(sent, msOf(validFor) ?? 0);
  }

  /** Ends it because an answer said that it is over. */
  lose(reason: AttemptLost['reason'] | undefined): void {
    if (this.#state !== 'held') return;
    const left = this.#leave('lost');
    // Said by a server, which ends the stream too; or by nobody.
    if (reason === undefined) left?.stop();
    else void left?.finish();
    this.#observer({ kind: 'lost', reason });
  }

  /**
   * Ends it because the work has ended and a server was told: nothing keeps it alive any more, and the observer hears
   * nothing more. Waits a little for the server to end the stream.
   */
  async end(): Promise<void> {
    if (this.#state === 'held') await this.#leave('ended')?.finish();
  }

  heard(from: SentAt, { event }: KeepAliveOperationResponse): void {
    if (this.#state !== 'held') return;
    switch (event?.$case) {
      case 'renewed':
        if (this.extend(event.value, from)) this.#observer({ kind: 'renewed' });
        break;
      case 'atRisk':
        this.#observer({ kind: 'at-risk', reason: event.value.reason });
        break;
      case 'cancelRequested':
        this.#observer({ kind: 'cancel-requested', reason: event.value.reason });
        break;
      case 'lost':
        this.lose(event.value.reason);
        break;
      case 'moved': // the keeper's business, as is `draining`
      case 'draining':
      case undefined:
    }
  }

  reopened(why: string): void {
    this.#observer({ kind: 'reopened', why });
  }

  #leave(state: 'ended' | 'lost') {
    this.#state = state;
    this.#deadline.end();
    return keepersOf(this.#channel).attempts.leave(this);
  }
}
