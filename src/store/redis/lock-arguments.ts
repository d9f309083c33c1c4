// What scripts are told of locks: domain values as the texts that they take and keep. Owns the form of these texts;
// lock-replies.ts reads them.

import { LIMITS } from '../../domain/limits.ts';
import type { CallStamp, LeaseSpec, Mode } from '../../domain/lock.ts';
import { SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';
import type { AcquireCommand, ConfirmCommand, RenewCommand } from '../lock-store.ts';

export function microseconds(ms: number): string {
  return Math.round(ms * 1_000).toFixed(0);
}

/** The argument of every script behind `reign` and `not_after`. */
export const SKEW_US = microseconds(SKEW_ALLOWANCE_MS);

export function acquireArguments({ spec, stamp, mayWait, asksAgain }: AcquireCommand): readonly string[] {
  return [
    spec.resource,
    spec.leaseId,
    stampText(stamp),
    modeText(spec.mode),
    microseconds(spec.ttlMs),
    microseconds(spec.minHoldMs),
    microseconds(spec.maxHoldMs),
    aboutText(spec),
    mayWait ? '1' : '0',
    String(LIMITS.waitersPerResource),
    asksAgain ? '1' : '0',
  ];
}

export function confirmArguments({ spec, stamp }: ConfirmCommand): readonly string[] {
  return [
    spec.resource,
    spec.leaseId,
    stampText(stamp),
    microseconds(spec.ttlMs),
    microseconds(spec.minHoldMs),
    microseconds(spec.maxHoldMs),
  ];
}

/** Those of one lease: renew-locks takes many. */
export function renewArguments(command: RenewCommand): readonly string[] {
  const { resource, leaseId, fencingToken, stamp, ttlMs } = command;
  const by = stamp ? stampText(stamp) : '';
  return [resource, `${leaseId} ${fencingToken} ${by} ${howText(command)} ${microseconds(ttlMs)}`];
}

/** What a call does to what it renews. */
export function howText({
  takesOver,
  onlyLooks,
}: {
  readonly takesOver?: boolean;
  readonly onlyLooks?: boolean;
}): string {
  if (onlyLooks) return 'look';
  return takesOver ? 'take' : 'keep';
}

export function stampText(stamp: CallStamp): string {
  return `${stamp.instanceId}/${stamp.callNumber}`;
}

export function modeText(mode: Mode): string {
  return mode.kind === 'permits' ? `permits:${mode.permits}/${mode.limit}` : mode.kind;
}

// Metadata as pairs, not as an object: `__proto__` is a key like any other.
function aboutText(spec: LeaseSpec): string {
  return JSON.stringify([spec.owner, [...spec.metadata]]);
}

/** What the text about each lease and waiter of this owner begins with, and that of nobody else. */
export function aboutOwner(owner: string): string {
  return `${JSON.stringify([owner]).slice(0, -1)},`;
}
