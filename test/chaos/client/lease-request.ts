// What a client asks of a lock, in the words of the history and in those of the contract.

import { randomUUID } from 'node:crypto';
import type { Duration } from '../../../generated/google/protobuf/duration.ts';
import type { Lease, LeaseSpec } from '../../../generated/leasehold/v1/lease.ts';
import type { AcquireRequest } from '../../../generated/leasehold/v1/lock_service.ts';
import type { LockRequest } from '../history.ts';

export type Mode =
  | { readonly kind: 'exclusive' | 'shared' }
  | { readonly kind: 'permits'; readonly permits: number; readonly limit: number };

export const EXCLUSIVE: Mode = { kind: 'exclusive' };

export interface LeaseRequest {
  readonly resource: string;
  readonly mode: Mode;
  readonly ttlMs: number;
  readonly waitMs: number;
  readonly leaseId: string;
}

/**
 * A new acquisition. Its id comes from the system's chance and not from the dice: a client that was killed and started
 * again with the same seed must not take up the acquisitions of its former life.
 */
export function newRequest(fields: Omit<LeaseRequest, 'leaseId'>): LeaseRequest {
  return { leaseId: randomUUID(), ...fields };
}

export function lockOf({ resource, leaseId, mode, ttlMs, waitMs }: LeaseRequest): LockRequest {
  return { resource, leaseId, mode: modeText(mode), ttlMs, waitMs };
}

export function modeText(mode: Mode): string {
  return mode.kind === 'permits' ? `permits:${mode.permits}/${mode.limit}` : mode.kind;
}

export function specOf({ resource, leaseId, mode, ttlMs }: LeaseRequest, owner: string) {
  return { resource, leaseId, owner, ttl: durationOf(ttlMs), mode: specModeOf(mode) };
}

function specModeOf(mode: Mode): NonNullable<LeaseSpec['mode']> {
  switch (mode.kind) {
    case 'exclusive':
      return { $case: 'exclusive', value: {} };
    case 'shared':
      return { $case: 'shared', value: {} };
    case 'permits':
      return { $case: 'permits', value: { permits: mode.permits, limit: mode.limit } };
  }
}

export function waitOf(waitMs: number): AcquireRequest['wait'] {
  return waitMs > 0 ? { $case: 'waitTimeout', value: durationOf(waitMs) } : undefined;
}

/** The request as the history has it. */
export function leaseTold({ fencingToken, validFor }: Lease): { token: string; validForMs: number } {
  return { token: String(fencingToken), validForMs: millisecondsOf(validFor) };
}

export function durationOf(ms: number): Duration {
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: Math.round((ms % 1_000) * 1e6) };
}

export function millisecondsOf(span: Duration | undefined): number {
  return Number(span?.seconds ?? 0n) * 1_000 + (span?.nanos ?? 0) / 1e6;
}
