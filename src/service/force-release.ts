// ForceRelease without gRPC: revokes leases in the store, and leaves a record of every call, whatever became of it.
// Who may call it was decided before (transport/authorization.ts).

import type { Clock } from '../domain/clock.ts';
import { CoordinationError, type ErrorCode } from '../domain/errors.ts';
import type { ForceReleaseOutcome } from '../domain/lock.ts';
import type { ForceReleaseCommand, LockStore } from '../store/lock-store.ts';
import type { CallContext } from './lock-service.ts';

/** One call of an administrator, for the log. */
export interface ForceReleaseRecord {
  readonly resource: string;
  /** '' for all leases. */
  readonly fencingToken: string;
  readonly immediate: boolean;
  /** What the caller gave as the reason. */
  readonly reason: string;
  readonly caller: string;
  readonly role: string;
  readonly peer: string;
  /** Unless it is 'ok', the count isn't known: the outcome may be unknown. */
  readonly outcome: 'ok' | ErrorCode;
  readonly count?: number;
  readonly freeInMs?: number;
}

export interface ForceReleaseOptions {
  readonly store: LockStore;
  readonly clock: Clock;
  readonly commandTimeoutMs: number;
  readonly audit: (record: ForceReleaseRecord) => void;
}

export class ForceRelease {
  readonly #options: ForceReleaseOptions;

  constructor(options: ForceReleaseOptions) {
    this.#options = options;
  }

  /** Throws what the store throws. */
  async forceRelease(
    command: ForceReleaseCommand & { readonly reason: string },
    { caller, peer, deadlineMs }: CallContext,
  ): Promise<ForceReleaseOutcome> {
    const { store, clock, commandTimeoutMs, audit } = this.#options;
    const { resource, fencingToken, immediate, reason } = command;
    const asked = {
      resource,
      fencingToken: fencingToken?.toString() ?? '',
      immediate,
      reason,
      caller: caller.name,
      role: caller.role,
      peer,
    };
    try {
      const boundMs = Math.min(clock.monotonicMs() + commandTimeoutMs, deadlineMs);
      const outcome = await store.forceRelease(command, { deadlineMs: boundMs });
      audit({ ...asked, outcome: 'ok', ...outcome });
      return outcome;
    } catch (error) {
      audit({ ...asked, outcome: error instanceof CoordinationError ? error.code : 'INTERNAL' });
      throw error;
    }
  }
}
