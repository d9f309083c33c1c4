// What KeepAliveOperation does, without gRPC: takes an attempt over, heartbeats for as long as the stream lives, and
// tells the stream what happens. The end of a stream gives nothing back: a cancelled call and a dead process look
// alike, so the attempt runs to its deadline, and a client that opens KeepAliveOperation before that goes on.

import type { Clock } from '../domain/clock.ts';
import type { CoordinationError } from '../domain/errors.ts';
import { LIMITS } from '../domain/limits.ts';
import type { AttemptLoss } from '../domain/losses.ts';
import type { AttemptRef } from '../domain/operation.ts';
import type { CallContext, CallStamps } from './call.ts';
import { type OpenStream, OpenStreams } from './open-streams.ts';
import { staleAttempt } from './operation-refusals.ts';
import type { RunningAttempt } from './operation-service.ts';
import { cancelled, moved, overloaded } from './refusals.ts';
import type { RiskReason } from './renewal-risks.ts';
import type { RenewalWheel } from './renewal-wheel.ts';
import { endsByMoving, groupOf, type KeepingEnd, type KeptAttempt, type LivingAttempt } from './renewals.ts';

export type AttemptEvent =
  | { readonly kind: 'renewed'; readonly running: RunningAttempt }
  | { readonly kind: 'at-risk'; readonly reason: RiskReason }
  | { readonly kind: 'cancel-requested'; readonly reason: string }
  | KeepingEnd<AttemptLoss>
  | { readonly kind: 'draining'; readonly moveWithinMs: number };

export interface KeepAttemptCommand {
  readonly attempt: AttemptRef;
  /** Infinity: for as long as the stream lives. */
  readonly renewForMs: number;
}

export interface AttemptStreamsOptions {
  readonly wheel: RenewalWheel<KeptAttempt, LivingAttempt, AttemptLoss>;
  readonly clock: Clock;
  readonly stamps: CallStamps;
  readonly maxTtlMs: number;
}

/** An attempt that its worker ended is not lost. */
const IN_ORDER: readonly AttemptLoss[] = ['yielded', 'finished'];

export class AttemptStreams {
  readonly #options: AttemptStreamsOptions;
  readonly #open: OpenStreams;

  constructor(options: AttemptStreamsOptions) {
    this.#options = options;
    this.#open = new OpenStreams(options.clock);
  }

  /**
   * Takes the attempt over from the call that kept it, and keeps it. Resolves when the attempt was completed or given
   * back; throws STALE_ATTEMPT, MOVED, DRAINING, OVERLOADED or CANCELLED. `tell` never blocks.
   *
   * With a `renewForMs` it heartbeats no longer than that after the call's arrival, and resolves when the attempt moved.
   * Infinity: for as long as the stream lives.
   */
  async keepAlive(
    { attempt, renewForMs }: KeepAttemptCommand,
    { arrivedAtMs, ended, peer, trace }: CallContext,
    tell: (event: AttemptEvent) => void,
  ): Promise<void> {
    this.#open.admit();
    const { wheel, clock, stamps, maxTtlMs } = this.#options;
    // The deadline isn't known here yet, but it is not later than this.
    const deadlineMs = clock.monotonicMs() + maxTtlMs;
    const group = groupOf(peer);
    const stamp = stamps.forStream();
    const renewUntilMs = arrivedAtMs + renewForMs;
    const kept = { ...attempt, stamp, deadlineMs, minAcks: 0, takesOver: true, renewUntilMs, group };
    if (!wheel.hasRoomFor([kept], LIMITS.keptLeasesPerInstance)) {
      throw overloaded('this instance keeps too many attempts');
    }
    return new Promise((resolve, reject) => {
      const finish = (error: CoordinationError | undefined): void => {
        this.#open.delete(stream);
        ended.removeEventListener('abort', cancel);
        stop();
        if (error) reject(error);
        else resolve();
      };
      const cancel = (): void => finish(cancelled());
      const stream: OpenStream = {
        tellDraining: (moveWithinMs) => tell({ kind: 'draining', moveWithinMs }),
        finish,
      };
      let hasToldCancel = false;
      const tellCancel = ({ cancelReason }: LivingAttempt): void => {
        if (cancelReason === undefined || hasToldCancel) return;
        hasToldCancel = true;
        tell({ kind: 'cancel-requested', reason: cancelReason });
      };
      const stop = wheel.keep(kept, {
        renewed: (living) => {
          const running = { attempt: living, validForMs: living.deadlineMs - arrivedAtMs };
          tell({ kind: 'renewed', running });
          trace?.answered('renewed');
          tellCancel(living);
        },
        looked: tellCancel,
        atRisk: (reason) => tell({ kind: 'at-risk', reason }),
        ended: (end) => {
          tell(end);
          if (end.kind === 'lost' && !IN_ORDER.includes(end.reason)) trace?.lost(end.reason);
          finish(errorOf(end, kept));
        },
      });
      ended.addEventListener('abort', cancel, { once: true });
      this.#open.add(stream);
      if (ended.aborted) cancel();
    });
  }

  /**
   * From now on no stream begins here. Open streams are told, spread over some time, and end within `withinMs`. Their
   * attempts are kept until then, and live on.
   */
  drain(withinMs: number): void {
    this.#open.drain(withinMs);
  }
}

/** Why a stream ends with its attempt; undefined: in order. */
function errorOf(end: KeepingEnd<AttemptLoss>, kept: KeptAttempt): CoordinationError | undefined {
  if (end.kind === 'moved') return endsByMoving(kept) ? undefined : moved('attempt');
  return end.reason === 'finished' || end.reason === 'yielded' ? undefined : staleAttempt();
}
