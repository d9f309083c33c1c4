// What Hold and KeepAlive do, without gRPC: take a lease or take it over, keep it for as long as the stream lives, and
// tell the stream what happens. The end of a stream releases nothing: a cancelled call and a dead process look alike,
// so the lease runs to its deadline, and a client that opens KeepAlive before that goes on.

import type { CoordinationError } from '../domain/errors.ts';
import { LIMITS } from '../domain/limits.ts';
import { grantedAtMs, type Lease, type LeaseSpec } from '../domain/lock.ts';
import type { LeaseLoss } from '../domain/losses.ts';
import type { AcquisitionRef, RenewCommand } from '../store/lock-store.ts';
import type { Acquisitions } from './acquisitions.ts';
import type { CallContext, CallStamps, CommandTime } from './call.ts';
import type { KeepingObserver, LockObserver } from './lock-observer.ts';
import type { GrantedLease } from './lock-service.ts';
import { type OpenStream, OpenStreams } from './open-streams.ts';
import { cancelled, leaseLost, moved, overloaded, waitFailure } from './refusals.ts';
import type { RiskReason } from './renewal-risks.ts';
import type { RenewalWheel } from './renewal-wheel.ts';
import { endsByMoving, groupOf, type KeepingEnd, type KeptLease } from './renewals.ts';
import type { WaitEnd } from './waiting-call.ts';

export type LeaseEvent =
  /** `position` is from 1, and 0 while it isn't known. */
  | { readonly kind: 'queued'; readonly position: number }
  | { readonly kind: 'granted'; readonly granted: GrantedLease }
  | { readonly kind: 'renewed'; readonly granted: GrantedLease }
  | { readonly kind: 'at-risk'; readonly reason: RiskReason }
  | KeepingEnd<LeaseLoss>
  /** The whole stream ends in this time. */
  | { readonly kind: 'draining'; readonly moveWithinMs: number };

export interface HoldCommand {
  readonly spec: LeaseSpec;
  /** 0: not at all; Infinity: for as long as the stream lives. */
  readonly waitMs: number;
  /** Infinity: for as long as the stream lives. */
  readonly renewForMs: number;
}

export interface KeepAliveCommand {
  readonly leases: readonly RenewCommand[];
  /** Infinity: for as long as the stream lives. */
  readonly renewForMs: number;
}

/** Tells the stream's client; never blocks. */
export type Tell = (about: AcquisitionRef, event: LeaseEvent) => void;

export interface LeaseStreamsOptions extends CommandTime {
  readonly acquisitions: Acquisitions;
  readonly observer: LockObserver;
  readonly keeping: KeepingObserver;
  readonly wheel: RenewalWheel<KeptLease, Lease, LeaseLoss>;
  readonly stamps: CallStamps;
  readonly maxTtlMs: number;
}

/** A queued stream repeats its position after this time. */
const REPEAT_QUEUED_MS = 10_000;
const WHOLE_STREAM: AcquisitionRef = { resource: '', leaseId: '' };

export class LeaseStreams {
  readonly #options: LeaseStreamsOptions;
  readonly #open: OpenStreams;

  constructor(options: LeaseStreamsOptions) {
    this.#options = options;
    this.#open = new OpenStreams(options.clock);
  }

  /**
   * Acquires as Acquire does, waits up to `waitMs` (0: not at all, Infinity: for as long as the stream lives), and
   * keeps the lease. Resolves when the lease was released: to its holder and to those who count errors, that end is as
   * it should be. Throws what Acquire throws, then LEASE_LOST, MOVED, DRAINING or CANCELLED.
   *
   * With a `renewForMs` it renews no longer than that after the grant, and resolves when the lease moved. Infinity: for
   * as long as the stream lives.
   */
  async hold({ spec, waitMs, renewForMs }: HoldCommand, context: CallContext, tell: Tell): Promise<void> {
    this.#admit(spec);
    const { stamps, clock } = this.#options;
    const stamp = stamps.forStream();
    const { resource, leaseId, ttlMs, minAcks = 0 } = spec;
    const end = await this.#obtain(spec, stamp, waitMs, context, tell);
    if (end.kind === 'moved') tell(spec, { kind: 'moved' });
    if (end.kind === 'draining') tell(spec, { kind: 'draining', moveWithinMs: 0 });
    if (end.kind !== 'granted') throw waitFailure(end);
    if (context.ended.aborted) throw cancelled();
    const { lease } = end;
    const { fencingToken, deadlineMs } = lease;
    const grantedMs = clock.monotonicMs();
    if (grantedMs >= deadlineMs) throw leaseLost();
    tell(spec, { kind: 'granted', granted: { lease, validForMs: deadlineMs - context.arrivedAtMs } });
    context.trace?.answered('granted');
    const group = groupOf(context.peer);
    const kept = {
      resource,
      leaseId,
      fencingToken,
      stamp,
      ttlMs,
      deadlineMs,
      minAcks,
      takesOver: false,
      renewUntilMs: grantedMs + renewForMs,
      group,
    };
    return this.#keep([kept], context, (event) => tell(spec, event), tell, grantedAtMs(lease, grantedMs));
  }

  /**
   * Takes the leases over from the calls that kept them, and keeps them. Resolves when none is left and the last one
   * was released; throws LEASE_LOST or MOVED when the last one ended in another way, DRAINING or CANCELLED.
   *
   * With a `renewForMs` it renews no longer than that after the call's arrival, and resolves when the last one moved.
   * Infinity: for as long as the stream lives.
   */
  async keepAlive({ leases, renewForMs }: KeepAliveCommand, context: CallContext, tell: Tell): Promise<void> {
    this.#open.admit();
    const { stamps, clock, maxTtlMs, wheel } = this.#options;
    const stamp = stamps.forStream();
    // The deadlines aren't known here yet, but none is later than this.
    const deadlineMs = clock.monotonicMs() + maxTtlMs;
    const common = {
      stamp,
      deadlineMs,
      minAcks: 0,
      takesOver: true,
      renewUntilMs: context.arrivedAtMs + renewForMs,
      group: groupOf(context.peer),
    };
    const kept = leases.map((lease) => ({ ...lease, ...common }));
    if (!wheel.hasRoomFor(kept, LIMITS.keptLeasesPerInstance)) throw keepsTooMany();
    return this.#keep(kept, context, (event) => tell(WHOLE_STREAM, event), tell);
  }

  /**
   * From now on no stream begins here. Open streams are told, spread over some time, and end within `withinMs`. Their
   * leases are renewed until then, and live on. Queued streams end with the wait room's drain.
   */
  drain(withinMs: number): void {
    this.#open.drain(withinMs);
  }

  #admit(spec: LeaseSpec): void {
    const { wheel, acquisitions } = this.#options;
    try {
      this.#open.admit();
      if (wheel.size >= LIMITS.keptLeasesPerInstance) throw keepsTooMany();
    } catch (error) {
      throw acquisitions.refused(spec, error);
    }
  }

  async #obtain(
    spec: LeaseSpec,
    stamp: KeptLease['stamp'],
    waitMs: number,
    context: CallContext,
    tell: Tell,
  ): Promise<WaitEnd> {
    const { acquisitions, clock } = this.#options;
    if (waitMs <= 0) return acquisitions.obtain({ spec, stamp, waitMs }, context);
    let position = 0;
    const say = (): void => {
      repeat.cancel();
      repeat = clock.after(REPEAT_QUEUED_MS, say);
      tell(spec, { kind: 'queued', position });
    };
    let repeat = clock.after(REPEAT_QUEUED_MS, say);
    const onPosition = (now: number): void => {
      if (now === position) return;
      position = now;
      say();
    };
    try {
      return await acquisitions.obtain({ spec, stamp, waitMs, onPosition }, context);
    } finally {
      repeat.cancel();
    }
  }

  #keep(
    leases: readonly KeptLease[],
    { arrivedAtMs, ended, trace }: CallContext,
    tellStream: (event: LeaseEvent) => void,
    tell: Tell,
    heldSinceMs?: number,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const { wheel, clock } = this.#options;
      let left = leases.length;
      const stops: (() => void)[] = [];
      const finish = (error: CoordinationError | undefined): void => {
        this.#open.delete(stream);
        ended.removeEventListener('abort', cancel);
        for (const stop of stops) stop();
        if (error) reject(error);
        else resolve();
      };
      const cancel = (): void => finish(cancelled());
      const stream: OpenStream = {
        tellDraining: (moveWithinMs) => tellStream({ kind: 'draining', moveWithinMs }),
        finish,
      };
      ended.addEventListener('abort', cancel, { once: true });
      for (const kept of leases) {
        // What KeepAlive names is a lease only once the store has said so.
        let sinceMs = heldSinceMs;
        const stop = wheel.keep(kept, {
          renewed: (lease) => {
            sinceMs ??= grantedAtMs(lease, clock.monotonicMs());
            const granted = { lease, validForMs: lease.deadlineMs - arrivedAtMs };
            tell(kept, { kind: 'renewed', granted });
            trace?.answered('renewed');
          },
          looked: (lease) => {
            sinceMs ??= grantedAtMs(lease, clock.monotonicMs());
          },
          atRisk: (reason) => tell(kept, { kind: 'at-risk', reason }),
          ended: (end) => {
            this.#count(kept, end, sinceMs);
            tell(kept, end);
            if (end.kind === 'lost' && end.reason !== 'released') trace?.lost(end.reason);
            if (--left === 0) finish(errorOf(end, kept));
          },
        });
        stops.push(stop);
      }
      this.#open.add(stream);
      if (ended.aborted) cancel();
    });
  }

  // A release and a forced release are counted by the call that did it, perhaps on another instance.
  #count({ resource }: KeptLease, end: KeepingEnd<LeaseLoss>, sinceMs: number | undefined): void {
    if (end.kind === 'moved' || end.reason === 'released') return;
    const { observer, keeping, clock } = this.#options;
    keeping.lost(end.reason);
    if (end.reason === 'revoked' || sinceMs === undefined) return;
    const heldMs = clock.monotonicMs() - sinceMs;
    observer.holdEnded({ resource, end: end.reason === 'expired' ? 'expired' : 'lost', heldMs });
  }
}

function keepsTooMany(): CoordinationError {
  return overloaded('this instance keeps too many leases');
}

/** Why a stream ends with its last lease; undefined: in order. */
function errorOf(end: KeepingEnd<LeaseLoss>, kept: KeptLease): CoordinationError | undefined {
  if (end.kind === 'moved') return endsByMoving(kept) ? undefined : moved('lease');
  return end.reason === 'released' ? undefined : leaseLost();
}
