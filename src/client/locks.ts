// Reads and watches locks, and does what administrators and command lines do with them. A lease that this process holds
// and keeps is in lease.ts.

import type { Lease as LeaseMessage } from '../../generated/leasehold/v1/lease.ts';
import {
  AcquireRequest,
  type AcquireResponse,
  type CheckFencingTokenResponse,
  ForceReleaseRequest,
  type ForceReleaseResponse,
  type GetLockResponse,
  ListContendedLocksRequest,
  type ListContendedLocksResponse,
  ListLocksRequest,
  type ListLocksResponse,
  ListSuspectedDeadlocksRequest,
  type ListSuspectedDeadlocksResponse,
  type RenewResponse,
  WatchLocksRequest,
} from '../../generated/leasehold/v1/lock_service.ts';
import { LIMITS } from '../domain/limits.ts';
import { boundsOfWait, type Caller, type CallOptions, present } from './client-calls.ts';
import { type ContendedLocks, contendedOf, deadlocksOf, type SuspectedDeadlocks } from './contention-view.ts';
import { release } from './core/release.ts';
import { msOf } from './core/time-spans.ts';
import { type AcquireOptions, DEFAULT_WAIT_MS, specOf, waitOf } from './lease-options.ts';
import { freeLock, LOCK_STATES, type Lock, type LockState, lockOf } from './lock-view.ts';
import { bigintOf, countOf, spanOf, waitMsOf } from './number-options.ts';
import { type WatchOptions, watchAgain } from './watch-loop.ts';

export interface ListLocksOptions extends CallOptions {
  readonly prefix?: string | undefined;
  /** Only locks with a holder or a waiter of exactly this owner. */
  readonly owner?: string | undefined;
  readonly states?: readonly Exclude<LockState, 'free' | 'unknown'>[] | undefined;
  /** How many locks each call asks for. */
  readonly pageSize?: number | undefined;
}

export interface ContendedLocksOptions extends CallOptions {
  /** How many locks to list: 20 by default, 100 at most. */
  readonly limit?: number | undefined;
}

export interface WatchLocksOptions extends WatchOptions {
  /** Only these, up to 100; not together with `prefix`. Without either, all locks. */
  readonly resources?: readonly string[] | undefined;
  readonly prefix?: string | undefined;
}

export type LockChange =
  | { readonly kind: 'lock'; readonly lock: Lock }
  /** Every lock that isn't free has been told; changes follow. It comes again after a reconnect. */
  | { readonly kind: 'snapshot-complete' };

export interface ForceReleaseOptions extends CallOptions {
  /** Releases only the lease with this token. Without it, a repeat after a lost answer may hit the next holder. */
  readonly fencingToken?: bigint | undefined;
  /** Frees the resource now, although its holder may still be at work. */
  readonly immediate?: boolean | undefined;
  /** For the server's log. */
  readonly reason?: string | undefined;
}

/** A lease that this process doesn't keep alive: any process that knows its id can renew it in time. */
export interface UnkeptLease {
  readonly resource: string;
  /** It gives the right to renew and to release the lease: a secret. */
  readonly leaseId: string;
  readonly fencingToken: bigint;
  /** Milliseconds until it ends, counted from before the call was sent, without any margin. */
  readonly remainingMs: number;
}

export class Locks {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Reads one lock. A resource that was never locked is `free`. */
  async get(resource: string, options?: CallOptions): Promise<Lock> {
    const { lock } = await this.#caller.answer<GetLockResponse>(
      ({ locks }, metadata, call, callback) => locks.getLock({ resource }, metadata, call, callback),
      options,
    );
    return lock ? lockOf(lock) : freeLock(resource);
  }

  /** Yields all locks that aren't free, page by page, in the order of the bytes of their names. It is no snapshot. */
  async *list(options: ListLocksOptions = {}): AsyncGenerator<Lock, void, undefined> {
    const { prefix = '', owner = '', states = [] } = options;
    const pageSize = countOf('pageSize', options.pageSize, 1) ?? 0;
    const wanted = {
      resourcePrefix: prefix,
      owner,
      pageSize,
      states: states.map((state) => LOCK_STATES[state]),
    };
    let pageToken = '';
    do {
      const request = ListLocksRequest.fromPartial({ ...wanted, pageToken });
      const page = await this.#caller.answer<ListLocksResponse>(
        ({ locks }, metadata, call, callback) => locks.listLocks(request, metadata, call, callback),
        options,
      );
      for (const lock of page.locks) yield lockOf(lock);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
  }

  /** Lists the locks for which calls on all servers have waited longest in the last minutes. */
  async contended(options: ContendedLocksOptions = {}): Promise<ContendedLocks> {
    const limit = countOf('limit', options.limit, 1) ?? 0;
    const request = ListContendedLocksRequest.fromPartial({ limit });
    const contended = await this.#caller.answer<ListContendedLocksResponse>(
      ({ locks }, metadata, call, callback) => locks.listContendedLocks(request, metadata, call, callback),
      options,
    );
    return contendedOf(contended);
  }

  /**
   * Looks for owners that wait for each other. An owner is only a name: where tasks share one, a circle can be none, so
   * give each task an `owner` of its own.
   */
  async suspectedDeadlocks(options?: CallOptions): Promise<SuspectedDeadlocks> {
    const request = ListSuspectedDeadlocksRequest.fromPartial({});
    const found = await this.#caller.answer<ListSuspectedDeadlocksResponse>(
      ({ locks }, metadata, call, callback) =>
        locks.listSuspectedDeadlocks(request, metadata, call, callback),
      options,
    );
    return deadlocksOf(found);
  }

  /**
   * Yields the locks as they are, and then each change, also over reconnects: a lock that was freed in the meantime
   * comes as `free`. A state between two others may be left out.
   */
  async *watch(options: WatchLocksOptions = {}): AsyncGenerator<LockChange, void, undefined> {
    const { resources = [], prefix = '' } = options;
    const request = WatchLocksRequest.fromPartial({ resources: [...resources], resourcePrefix: prefix });
    const taken = new Set<string>();
    let unheard = new Set<string>();
    const messages = watchAgain(
      this.#caller,
      ({ locks }, metadata) => locks.watchLocks(request, metadata),
      options,
    );
    for await (const message of messages) {
      if (message === undefined) {
        unheard = new Set(taken);
      } else if (message.event?.$case === 'lock') {
        const lock = lockOf(message.event.value);
        unheard.delete(lock.resource);
        if (lock.state === 'free') taken.delete(lock.resource);
        else taken.add(lock.resource);
        yield { kind: 'lock', lock };
      } else if (message.event?.$case === 'snapshotComplete') {
        for (const resource of unheard) {
          taken.delete(resource);
          yield { kind: 'lock', lock: freeLock(resource) };
        }
        unheard.clear();
        yield { kind: 'snapshot-complete' };
      }
    }
  }

  /** Says whether a live lease on the resource carries this token now. */
  async checkFencingToken(resource: string, fencingToken: bigint, options?: CallOptions): Promise<boolean> {
    const request = { resource, fencingToken: bigintOf('fencingToken', fencingToken) };
    const { valid } = await this.#caller.answer<CheckFencingTokenResponse>(
      ({ locks }, metadata, call, callback) => locks.checkFencingToken(request, metadata, call, callback),
      options,
    );
    return valid;
  }

  /** For administrators. Says how many leases it revoked, and in how many milliseconds the resource is free. */
  async forceRelease(
    resource: string,
    options: ForceReleaseOptions = {},
  ): Promise<{ readonly releasedCount: number; readonly freeInMs: number }> {
    const { immediate = false, reason = '' } = options;
    const fencingToken = bigintOf('fencingToken', options.fencingToken);
    const request = ForceReleaseRequest.fromPartial({
      resource,
      immediate,
      reason,
      ...(fencingToken === undefined ? {} : { fencingToken }),
    });
    const { releasedCount, freeIn } = await this.#caller.answer<ForceReleaseResponse>(
      ({ locks }, metadata, call, callback) => locks.forceRelease(request, metadata, call, callback),
      options,
    );
    return { releasedCount, freeInMs: msOf(freeIn) ?? 0 };
  }

  /**
   * Acquires a lease that outlives this process and is renewed by hand. To hold one, use `acquire` or `withLock` of the
   * client. It waits for 30 minutes at most. When it rejects, it leaves nothing behind if it can reach a server.
   */
  async acquireUnkept(resource: string, options: Omit<AcquireOptions, 'onEvent'> = {}): Promise<UnkeptLease> {
    const { signal } = options;
    const askedMs = Math.min(waitMsOf('waitMs', options.waitMs, DEFAULT_WAIT_MS), LIMITS.unaryWaitMs);
    const timeoutMs = waitMsOf('timeoutMs', options.timeoutMs, undefined);
    const { waitMs, bounds } = boundsOfWait(askedMs, timeoutMs);
    const spec = specOf(resource, options, this.#caller.owner);
    const request = AcquireRequest.fromPartial({ spec, wait: waitOf(waitMs) });
    try {
      const { response, sentAtMs } = await this.#caller.unary<AcquireResponse>(
        ({ locks }, metadata, call, callback) => locks.acquire(request, metadata, call, callback),
        { signal, ...bounds },
      );
      return this.#unkept(response.lease, sentAtMs);
    } catch (error) {
      void release(this.#caller.channel, spec).catch(() => false);
      throw error;
    }
  }

  async renew(
    lease: Pick<UnkeptLease, 'resource' | 'leaseId' | 'fencingToken'>,
    options: CallOptions & { readonly ttlMs?: number | undefined } = {},
  ): Promise<UnkeptLease> {
    const { resource, leaseId } = lease;
    const fencingToken = bigintOf('fencingToken', lease.fencingToken);
    const request = { resource, leaseId, fencingToken, ttl: spanOf('ttlMs', options.ttlMs) };
    const { response, sentAtMs } = await this.#caller.unary<RenewResponse>(
      ({ locks }, metadata, call, callback) => locks.renew(request, metadata, call, callback),
      options,
    );
    return this.#unkept(response.lease, sentAtMs);
  }

  /** Says whether it ended a live lease, or a wait for one. */
  async release({ resource, leaseId }: Pick<UnkeptLease, 'resource' | 'leaseId'>): Promise<boolean> {
    return this.#caller.caught(() => release(this.#caller.channel, { resource, leaseId }));
  }

  #unkept(lease: LeaseMessage | undefined, sentAtMs: number): UnkeptLease {
    const { resource, leaseId, fencingToken, validFor } = present(lease, 'a lease');
    const goneMs = this.#caller.channel.clock.monotonicMs() - sentAtMs;
    return { resource, leaseId, fencingToken, remainingMs: Math.max(0, (msOf(validFor) ?? 0) - goneMs) };
  }
}
