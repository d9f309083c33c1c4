// The options of a lease, and the LeaseSpec that they become.

import { randomUUID } from 'node:crypto';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import type { AcquireRequest } from '../../generated/leasehold/v1/lock_service.ts';
import { durationOf } from './core/time-spans.ts';
import type { LeaseEvent } from './lease.ts';
import { countOf, spanOf } from './number-options.ts';

/** `permits`: that many of a limited number; all callers should give the same `limit`. */
export type ModeOption = 'exclusive' | 'shared' | { readonly permits: number; readonly limit: number };

/** `replicated`: that many replicas acknowledge the grant before it counts. */
export type DurabilityOption = 'async' | 'replicated' | { readonly replicated: number };

/** What a lease is like. */
export interface LeaseOptions {
  /** `exclusive` by default. */
  readonly mode?: ModeOption | undefined;
  /**
   * How long the lease lives without renewals, in milliseconds, and so how long the resource stays taken after its
   * holder has died; the default is the server's.
   */
  readonly ttlMs?: number | undefined;
  /** How long the resource stays taken at least, in milliseconds, also when the lease is released sooner. */
  readonly minHoldMs?: number | undefined;
  /** No renewal extends the lease past this time from its grant, in milliseconds. */
  readonly maxHoldMs?: number | undefined;
  /** Everyone who may look at the lock sees it: no secrets. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly durability?: DurabilityOption | undefined;
  /** Tells people who holds the lease; the client's `owner` by default. */
  readonly owner?: string | undefined;
}

/** What a lease is like, and how to acquire it. */
export interface AcquireOptions extends LeaseOptions {
  /**
   * A UUID, random by default. While an acquisition waits or is held, another with the same id is the same one and gets
   * the same token: for a caller that keeps the id over its own restarts. Everyone who knows the id can release the
   * lease, so it is a secret.
   */
  readonly leaseId?: string | undefined;
  /**
   * How long to wait, in the queue or for a server, in milliseconds; 30 s by default. Infinity waits for ever, 0 not at
   * all.
   */
  readonly waitMs?: number | undefined;
  /**
   * How long all of the call may take, in milliseconds, `waitMs` included; a server that isn't there is looked for until
   * then. By default as long as `waitMs`, and some seconds more for the answer; where `waitMs` is 0, until each server
   * was asked once. Infinity: for ever.
   */
  readonly timeoutMs?: number | undefined;
  /** Its abort gives up the wait, and leaves nothing behind. It does nothing to a lease that was granted. */
  readonly signal?: AbortSignal | undefined;
  /** Hears of the position in the queue, of renewals, of danger and of the end. What it throws is ignored. */
  readonly onEvent?: ((event: LeaseEvent) => void) | undefined;
}

export const DEFAULT_WAIT_MS = 30_000;

export function specOf(
  resource: string,
  options: LeaseOptions & Pick<AcquireOptions, 'leaseId'>,
  owner: string,
): LeaseSpec {
  return LeaseSpec.fromPartial({
    resource,
    leaseId: options.leaseId ?? randomUUID(),
    owner: options.owner ?? owner,
    ttl: spanOf('ttlMs', options.ttlMs),
    mode: modeOf(options.mode),
    metadata: new Map(Object.entries(options.metadata ?? {})),
    minHold: spanOf('minHoldMs', options.minHoldMs),
    maxHold: spanOf('maxHoldMs', options.maxHoldMs),
    durability: durabilityOf(options.durability),
  });
}

/** The wait of a unary Acquire or AcquireMany; undefined: none. */
export function waitOf(ms: number): AcquireRequest['wait'] {
  return ms >= 1 ? { $case: 'waitTimeout', value: durationOf(Math.floor(ms)) } : undefined;
}

function modeOf(mode: ModeOption | undefined): LeaseSpec['mode'] {
  if (mode === undefined || mode === 'exclusive') return { $case: 'exclusive', value: {} };
  if (mode === 'shared') return { $case: 'shared', value: {} };
  return {
    $case: 'permits',
    value: {
      permits: countOf('mode.permits', mode.permits, 1),
      limit: countOf('mode.limit', mode.limit, 1),
    },
  };
}

function durabilityOf(durability: DurabilityOption | undefined): LeaseSpec['durability'] {
  if (durability === undefined) return undefined;
  if (durability === 'async') return { level: { $case: 'asynchronous', value: {} } };
  const minAcks =
    durability === 'replicated' ? 0 : countOf('durability.replicated', durability.replicated, 1);
  return { level: { $case: 'replicated', value: { minAcks } } };
}
