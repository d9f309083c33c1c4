// All calls that wait on this instance. It brings them the store's notices. About once a second, while calls wait, it
// gives the store a sign of life and finds the offers whose notices were lost.

import { pause } from '../domain/clock.ts';
import { LIMITS } from '../domain/limits.ts';
import type { CallStamp, LeaseSpec } from '../domain/lock.ts';
import type { Trace } from '../domain/trace.ts';
import type { AcquisitionRef, LockStore, Notice, Offer } from '../store/lock-store.ts';
import { bounded, type CommandTime } from './call.ts';
import { overloaded } from './refusals.ts';
import { type WaitEnd, WaitingCall } from './waiting-call.ts';

export interface WaitRoomOptions extends CommandTime {
  readonly store: LockStore;
  readonly random: () => number;
  readonly instanceId: string;
}

export interface WaitRequest {
  readonly spec: LeaseSpec;
  readonly stamp: CallStamp;
  /** When to give up, on the monotonic clock; Infinity for never. */
  readonly untilMs: number;
  /** The client's own deadline, on the monotonic clock; Infinity when it set none. */
  readonly callEndsMs: number;
  /** Aborts when the call ends. */
  readonly ended: AbortSignal;
  readonly onPosition: (position: number) => void;
  /** Undefined unless the call is traced. */
  readonly trace?: Trace | undefined;
}

const REFRESH_MS = 800;
/** When all calls ask again at once, this many begin in each millisecond. */
const ASKS_PER_MS = 5;

export class WaitRoom {
  readonly #options: WaitRoomOptions;
  readonly #calls = new Map<string, WaitingCall>();
  readonly #stopListening: () => void;
  #refreshing = false;
  #draining = false;

  constructor(options: WaitRoomOptions) {
    this.#options = options;
    this.#stopListening = options.store.onNotice((notice) => this.#heard(notice));
  }

  get size(): number {
    return this.#calls.size;
  }

  /**
   * Waits in the queue for a grant or the end of the call. Throws OVERLOADED, and what the store throws when the time
   * is over.
   */
  async wait({ ended, ...request }: WaitRequest): Promise<WaitEnd> {
    if (this.#draining) return { kind: 'draining' };
    if (ended.aborted) return { kind: 'cancelled' };
    if (this.#calls.size >= LIMITS.waitersPerInstance) {
      throw overloaded('too many calls wait on this instance');
    }
    const { store, clock, random, commandTimeoutMs } = this.#options;
    const call = new WaitingCall({ ...request, store, clock, random, commandTimeoutMs });
    const key = keyOf(request.spec);
    // A newer call for the same acquisition came to this same instance. The store will say so too, but its notice can
    // be lost.
    this.#calls.get(key)?.tell('moved');
    this.#calls.set(key, call);
    const cancel = (): void => call.tell('cancelled');
    ended.addEventListener('abort', cancel, { once: true });
    void this.#refresh();
    try {
      return await call.run();
    } finally {
      ended.removeEventListener('abort', cancel);
      if (this.#calls.get(key) === call) this.#calls.delete(key);
    }
  }

  /** Ends all waits. The store keeps their places for a while, so that the calls can go on elsewhere. */
  drain(): void {
    this.#draining = true;
    for (const call of this.#calls.values()) call.tell('draining');
  }

  close(): void {
    this.#stopListening();
  }

  #heard(notice: Notice): void {
    if (notice.kind === 'resync') {
      this.#askAll();
      return;
    }
    const call = this.#calls.get(keyOf(notice.acquisition));
    if (call?.stamp.callNumber === notice.callNumber) {
      if (notice.kind === 'next') call.nextInLine(notice.blockedForMs);
      else call.tell(notice.kind);
    } else if (notice.kind === 'offered') {
      // An offer to a call that ended meanwhile, and whose leave didn't reach the store. It must not block the queue
      // for the offer window, nor make this instance look absent.
      this.#giveBack(notice);
    }
  }

  #askAll(): void {
    let asked = 0;
    for (const call of this.#calls.values()) {
      this.#options.clock.after(asked++ / ASKS_PER_MS, () => call.tell('ask'));
    }
  }

  async #refresh(): Promise<void> {
    if (this.#refreshing) return;
    this.#refreshing = true;
    const { store, clock } = this.#options;
    while (this.#calls.size > 0) {
      await pause(clock, REFRESH_MS);
      try {
        const offers = await store.refresh(bounded(this.#options));
        for (const offer of offers) this.#heard({ kind: 'offered', ...offer });
      } catch {
        // The store is away; its return brings a resync.
      }
    }
    this.#refreshing = false;
  }

  #giveBack({ acquisition, callNumber }: Offer): void {
    const { store, instanceId } = this.#options;
    const command = { ...acquisition, stamp: { instanceId, callNumber }, keepPlaceMs: 0 };
    store.leave(command, bounded(this.#options)).catch(() => {});
  }
}

function keyOf({ resource, leaseId }: AcquisitionRef): string {
  return `${leaseId} ${resource}`;
}
