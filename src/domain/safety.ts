// The numbers of the safety core and the rules that follow from them. Both stores and the scripts take them
// from here; docs/architecture.md explains each. Changing one changes what the deployment promises: every
// instance must agree.

/**
 * How old the oldest question of a Sentinel majority may be when an answer that rests on it is sent.
 * Milliseconds.
 */
export const CONFIRMATION_WINDOW_MS = 2_000;

/** How often each Sentinel is asked who the primary is. Milliseconds. */
export const SENTINEL_POLL_MS = 500;

/**
 * The bound we state for clocks: the Redis nodes' clocks lie within this of each other, and a step of the
 * system clock moves the lease clock by at most this. Every recorded deadline carries it on top of the TTL.
 * Milliseconds.
 */
export const SKEW_ALLOWANCE_MS = 2_000;

/**
 * How often an instance ticks the lease clock. Must stay below SKEW_ALLOWANCE_MS, or the clock falls behind.
 */
export const TICK_MS = 1_000;

/**
 * How long a hand-over is an offer: the server process of the waiter has to confirm it within this, or it ends and the
 * process counts as absent. A dead process costs those behind its waiters this once. Milliseconds.
 */
export const OFFER_WINDOW_MS = 1_000;

/**
 * A waiter that hasn't asked again for so long is forgotten: those of a dead process would fill the queue of a lock
 * that nobody releases. A process that lives asks every 10 s. Milliseconds.
 */
export const FORGOTTEN_AFTER_MS = 30_000;

/** Version of the key layout, kept in `meta`; an instance serves on no other than this one and the former. */
export const SCHEMA_VERSION = 4;

/** An adoption upgrades this layout to the current one (adopt-reign.lua). */
export const FORMER_SCHEMA = 3;

/**
 * How long after a new reign began nothing is granted. A lease that the new primary has never heard of was
 * granted before the adoption, or by an isolated primary up to CONFIRMATION_WINDOW_MS after it, and lives at
 * most `maxTtlMs` by a clock that may differ by SKEW_ALLOWANCE_MS.
 */
export function quarantineMs(maxTtlMs: number): number {
  return maxTtlMs + CONFIRMATION_WINDOW_MS + SKEW_ALLOWANCE_MS;
}

/**
 * How old the data of a new primary may be, by an instance's own entry in the registry, for its answer to a roll call
 * to be fresh. After a fresh answer, an instance that these data lack can only have registered less than this ago.
 */
export function freshWithinMs(maxTtlMs: number): number {
  return Math.min(15_000, maxTtlMs);
}

/**
 * How long a newcomer tells nothing after it has registered: as old as the data of a fresh answer may be, and as long
 * as an isolated primary may go on.
 */
export function newcomerWaitMs(maxTtlMs: number): number {
  return freshWithinMs(maxTtlMs) + CONFIRMATION_WINDOW_MS + 500;
}

/** An instance that was away from the registry for longer than this is a newcomer in the next reign. */
export function awayAtMostMs(maxTtlMs: number): number {
  return maxTtlMs;
}

/**
 * How long the entry of an instance stays that ticks no more: longer than all that it may have told, and may be asked
 * for.
 */
export function entryKeptMs(maxTtlMs: number): number {
  return awayAtMostMs(maxTtlMs) + freshWithinMs(maxTtlMs) + 2 * SKEW_ALLOWANCE_MS + 1_000;
}

/**
 * How long the operation of a stale attempt stays claimable, whatever its time to live. This is longer than a
 * quarantine, in which nothing can be claimed.
 */
export function recoveryRoomMs(maxTtlMs: number): number {
  return quarantineMs(maxTtlMs) + 30_000;
}

/**
 * Inherited leases whose recorded deadline lies closer than this behind the adoption count as lapsed: the
 * isolated old primary, whose clock may be ahead by the allowance, may have seen them lapse and granted the
 * resource to someone else before its last answer was confirmed. Twice the allowance: once for the clocks,
 * once for the one that the recorded deadline carries.
 */
export const LAPSED_AFTER_ADOPTION_MS = CONFIRMATION_WINDOW_MS + 2 * SKEW_ALLOWANCE_MS;

/**
 * The smallest TTL that survives a failover when it is renewed at a quarter of its length: three quarters of
 * it must cover detection (`down-after-milliseconds`), the switch (2.5 s) and the lapsed rule. Milliseconds.
 */
export function smallestAdvisableTtlMs(downAfterMs: number): number {
  return Math.ceil((4 / 3) * (downAfterMs + 2_500 + LAPSED_AFTER_ADOPTION_MS));
}
