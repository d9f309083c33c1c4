// What the parts of a drill's load have in common: what they work with, and how they begin and end.

import { type Client, LeaseholdError } from '../client/client.ts';
import { type Clock, pause } from '../domain/clock.ts';
import type { CanaryRecord } from './canary-record.ts';
import type { GuardedCounters } from './guarded-counters.ts';

export interface CanarySurroundings {
  /** Clients of the same deployment; callers take turns with them, so that all servers have some. */
  readonly clientOf: (caller: number) => Client;
  readonly clock: Clock;
  readonly record: CanaryRecord;
  readonly counters: GuardedCounters;
  /** Ends with a slash. */
  readonly prefix: string;
  readonly ttlMs: number;
}

export interface CanaryPart {
  /** Resolves when it is as in everyday life. Rejects with what the servers say if that can't be. */
  start(): Promise<void>;
  /** Ends it and takes back everything, as far as a server can be told within this time. */
  stop(withinMs: number): Promise<void>;
  /** What would be left if the process ended now. */
  left(): { readonly leases: number; readonly operations: number };
}

export const OWNER = 'leasehold-drill';
/** How long a call of the load may take; it fails then, and counts as failed. Milliseconds. */
export const CALL_MS = 2_000;

/** The reason in capitals, as docs/errors.md has it. */
export function reasonOf(error: unknown): string {
  if (error instanceof LeaseholdError) return error.reason;
  return error instanceof Error ? error.message : String(error);
}

/** Calls `once` about every `everyMs` until the signal aborts. `once` must not reject. */
export async function inLoop(
  clock: Clock,
  everyMs: number,
  signal: AbortSignal,
  once: () => Promise<void>,
): Promise<void> {
  let dueMs = clock.monotonicMs();
  while (!signal.aborted) {
    await once();
    // What is late isn't made up for: a burst after an outage would measure itself.
    dueMs = Math.max(dueMs + everyMs, clock.monotonicMs());
    await pause(clock, dueMs - clock.monotonicMs(), signal);
  }
}
