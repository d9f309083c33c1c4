// What scripts are told of locks: domain values as the texts that they take and keep. Owns the form of these texts;
// lock-replies.ts reads them.

import { LIMITS } from '../../domain/limits.ts';
import type { CallStamp, LeaseSpec, Mode } from '../../domain/lock.ts';
import type { AcquireCommand, ConfirmCommand, RenewCommand } from '../lock-store.ts';

export function microseconds(ms: number): string {
  return Math.round(ms * 1_000).toFixed(0);
}

/** `about`: the text of `aboutText`. */
export function acquireArguments(
  { spec, stamp, mayWait, asksAgain }: AcquireCommand,
  about: string,
): readonly string[] {
  return [
    spec.resource,
    spec.leaseId,
    stampText(stamp),
    modeText(spec.mode),
    microseconds(spec.ttlMs),
    microseconds(spec.minHoldMs),
    microseconds(spec.maxHoldMs),
    about,
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

/** Those of one lease: renew-locks takes many. `asksText`: the reply is to carry the text of the lease. */
export function renewArguments(command: RenewCommand, asksText: boolean): readonly string[] {
  const { resource, leaseId, fencingToken, stamp, ttlMs } = command;
  const by = stamp ? stampText(stamp) : '';
  const how = howText(command, asksText);
  return [resource, `${leaseId} ${fencingToken} ${by} ${how} ${microseconds(ttlMs)}`];
}

/** What a call does to what it renews. */
export interface RenewalHow {
  readonly takesOver?: boolean;
  readonly onlyLooks?: boolean;
}

export function howText({ takesOver, onlyLooks }: RenewalHow, asksText: boolean): string {
  if (onlyLooks) return asksText ? 'look+' : 'look';
  if (takesOver) return asksText ? 'take+' : 'take';
  return asksText ? 'keep+' : 'keep';
}

export function stampText(stamp: CallStamp): string {
  return `${stamp.instanceId}/${stamp.callNumber}`;
}

export function modeText(mode: Mode): string {
  return mode.kind === 'permits' ? `permits:${mode.permits}/${mode.limit}` : mode.kind;
}

/** What people are told of a lease. Metadata as pairs, not as an object: `__proto__` is a key like any other. */
export function aboutText({ owner, metadata }: Pick<LeaseSpec, 'owner' | 'metadata'>): string {
  return JSON.stringify([owner, [...metadata]]);
}

/** What the text about each lease and waiter of this owner begins with, and that of nobody else. */
export function aboutOwner(owner: string): string {
  return `${JSON.stringify([owner]).slice(0, -1)},`;
}
