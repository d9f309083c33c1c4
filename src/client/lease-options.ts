// What callers may ask of a lease, and how it becomes a LeaseSpec.

import { randomUUID } from 'node:crypto';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import type { AcquireRequest } from '../../generated/leasehold/v1/lock_service.ts';
import type { LeaseEvent } from './lease.ts';
import { spanOf } from './span-options.ts';

/** `permits`: so many of a limited number, on which the callers should agree. */
export type ModeOption = 'exclusive' | 'shared' | { readonly permits: number; readonly limit: number };

/** `replicated`: acknowledged by so many replicas before it counts. */
export type DurabilityOption = 'async' | 'replicated' | { readonly replicated: number };

/** What one lease is like. */
export interface LeaseOptions {
  /** `exclusive` unless given. */
  readonly mode?: ModeOption | undefined;
  /** How long it lives without renewals, and so how long the resource stays taken after its holder has died. */
  readonly ttlMs?: number | undefined;
  /** The resource stays taken for at least this long, also when it is released sooner. */
  readonly minHoldMs?: number | undefined;
  /** It is never renewed past this time from the grant. */
  readonly maxHoldMs?: number | undefined;
  /** Shown to whoever looks at the lock: no secrets. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly durability?: DurabilityOption | undefined;
  /** Tells people who holds it; the client's `owner` unless given. */
  readonly owner?: string | undefined;
}

/** How it is acquired. */
export interface AcquireOptions extends LeaseOptions {
  /**
   * A UUID, random unless given. The same again is the same acquisition, with the same token, while that is held or
   * waits: for a caller that keeps it over its own restarts. Whoever knows it can release the lease: a secret.
   */
  readonly leaseId?: string | undefined;
  /** How long to wait for it, in the queue or for a server: 30 s unless given; Infinity for ever; 0: not at all. */
  readonly waitMs?: number | undefined;
  /** Gives up waiting, and leaves nothing behind. It does nothing to a lease that was granted. */
  readonly signal?: AbortSignal | undefined;
  /** Told of the place in the queue, of renewals, of danger and of the end. What it throws is ignored. */
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
  const value = spanOf('waitMs', Math.floor(ms));
  return ms >= 1 && value ? { $case: 'waitTimeout', value } : undefined;
}

function modeOf(mode: ModeOption | undefined): LeaseSpec['mode'] {
  if (mode === undefined || mode === 'exclusive') return { $case: 'exclusive', value: {} };
  if (mode === 'shared') return { $case: 'shared', value: {} };
  return { $case: 'permits', value: { permits: mode.permits, limit: mode.limit } };
}

function durabilityOf(durability: DurabilityOption | undefined): LeaseSpec['durability'] {
  if (durability === undefined) return undefined;
  if (durability === 'async') return { level: { $case: 'asynchronous', value: {} } };
  const minAcks = durability === 'replicated' ? 0 : durability.replicated;
  return { level: { $case: 'replicated', value: { minAcks } } };
}
