// One acquisition of a lease, from the question to its end: a single try, or a wait in the queue. Acquire, AcquireMany
// and Hold are made of these. Tells how each of them ended, exactly once; what the caller hears of that is theirs.

import { CoordinationError, type ErrorCode } from '../domain/errors.ts';
import type { AcquireOutcome, CallStamp, LeaseSpec } from '../domain/lock.ts';
import { durabilityOf, type LockStore } from '../store/lock-store.ts';
import { bounded, type CallContext, type CommandTime, waitEndsMs } from './call.ts';
import type { AcquireEnd, LockObserver } from './lock-observer.ts';
import type { WaitRoom } from './wait-room.ts';
import { endOfTry, type WaitEnd } from './waiting-call.ts';

export interface AcquisitionsOptions extends CommandTime {
  readonly store: LockStore;
  readonly waitRoom: WaitRoom;
  readonly observer: LockObserver;
}

export interface Wanted {
  readonly spec: LeaseSpec;
  readonly stamp: CallStamp;
  /** 0: not at all; Infinity: for as long as the call lives. */
  readonly waitMs: number;
  /** Called with the position in the queue, from 1, each time the store says it. */
  readonly onPosition?: (position: number) => void;
}

export class Acquisitions {
  readonly #options: AcquisitionsOptions;

  constructor(options: AcquisitionsOptions) {
    this.#options = options;
  }

  /** Throws what `WaitRoom.wait` throws, or the store where the call may not wait. */
  async obtain(wanted: Wanted, context: CallContext): Promise<WaitEnd> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    let end: WaitEnd;
    let queued = false;
    try {
      if (wanted.waitMs <= 0) {
        end = endOfTry(await this.#try(wanted, context));
      } else {
        end = await this.#wait(wanted, context, () => {
          queued = true;
        });
      }
    } catch (error) {
      this.#tell(wanted.spec, endOfError(error), queued, clock.monotonicMs() - startedMs);
      throw error;
    }
    const handoverMs = end.kind === 'granted' ? end.handoverMs : undefined;
    const isQueued = queued || handoverMs !== undefined;
    this.#tell(wanted.spec, endOf(end), isQueued, clock.monotonicMs() - startedMs, handoverMs);
    return end;
  }

  /** The instance refused it before it asked anybody. Returns the error, to be thrown. */
  refused<E>(spec: LeaseSpec, error: E): E {
    this.#tell(spec, endOfError(error), false, 0);
    return error;
  }

  // Not async: in the path of every call that doesn't wait, one promise less.
  #try({ spec, stamp }: Wanted, context: CallContext): Promise<AcquireOutcome> {
    const { store } = this.#options;
    const bound = { ...bounded(this.#options, context), ...durabilityOf(spec) };
    return store.acquire({ spec, stamp, mayWait: false }, bound);
  }

  async #wait(
    { spec, stamp, waitMs, onPosition = () => {} }: Wanted,
    context: CallContext,
    onQueued: () => void,
  ): Promise<WaitEnd> {
    const { waitRoom, observer } = this.#options;
    const { resource, owner, leaseId } = spec;
    let waitIsOver: (() => void) | undefined;
    try {
      return await waitRoom.wait({
        spec,
        stamp,
        untilMs: waitEndsMs(context, waitMs),
        callEndsMs: context.deadlineMs,
        ended: context.ended,
        trace: context.trace,
        onPosition: (position) => {
          onQueued();
          waitIsOver ??= observer.waits(resource, owner, leaseId);
          onPosition(position);
        },
      });
    } finally {
      waitIsOver?.();
    }
  }

  #tell(
    { resource, owner, mode }: LeaseSpec,
    end: AcquireEnd,
    queued: boolean,
    tookMs: number,
    handoverMs?: number,
  ): void {
    this.#options.observer.acquired({ resource, owner, mode: mode.kind, end, queued, tookMs, handoverMs });
  }
}

function endOf(end: WaitEnd): AcquireEnd {
  return end.kind === 'refused' ? ENDS_OF_OUTCOMES[end.outcome.kind] : end.kind;
}

const ENDS_OF_OUTCOMES: Readonly<
  Record<Exclude<AcquireOutcome['kind'], 'granted' | 'queued' | 'moved'>, AcquireEnd>
> = {
  contended: 'contended',
  quarantined: 'quarantine',
  full: 'queue-full',
  revoked: 'revoked',
  reused: 'refused',
};

const ENDS_OF_ERRORS: Partial<Readonly<Record<ErrorCode, AcquireEnd>>> = {
  REDIS_UNAVAILABLE: 'unavailable',
  PRIMARY_UNCONFIRMED: 'unavailable',
  OUTCOME_UNKNOWN: 'unavailable',
  DURABILITY_UNMET: 'unavailable',
  DEPLOYMENT_MISMATCH: 'unavailable',
  STORE_FULL: 'unavailable',
  OVERLOADED: 'unavailable',
  DEADLINE_EXCEEDED: 'unavailable',
  DRAINING: 'draining',
  CANCELLED: 'cancelled',
};

function endOfError(error: unknown): AcquireEnd {
  return (error instanceof CoordinationError && ENDS_OF_ERRORS[error.code]) || 'refused';
}
