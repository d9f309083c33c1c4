// ForceRelease without gRPC: revokes leases in the store, and leaves a record of every call, whatever its outcome. Who
// may call it is decided before that (transport/authorization.ts).

import { CoordinationError, type ErrorCode } from '../domain/errors.ts';
import type { ForceReleaseOutcome } from '../domain/lock.ts';
import type { ForceReleaseCommand, LockStore } from '../store/lock-store.ts';
import { bounded, type CallContext, type CommandTime } from './call.ts';
import type { LockObserver } from './lock-observer.ts';

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
  /** Unless this is 'ok', nobody knows the count: the outcome may be unknown. */
  readonly outcome: 'ok' | ErrorCode;
  readonly count?: number;
  readonly freeInMs?: number;
}

export interface ForceReleaseOptions extends CommandTime {
  readonly store: LockStore;
  readonly observer: LockObserver;
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
    context: CallContext,
  ): Promise<ForceReleaseOutcome> {
    const { store, audit, observer } = this.#options;
    const { resource, fencingToken, immediate, reason } = command;
    const asked = {
      resource,
      fencingToken: fencingToken?.toString() ?? '',
      immediate,
      reason,
      caller: context.caller.name,
      role: context.caller.role,
      peer: context.peer,
    };
    try {
      const outcome = await store.forceRelease(command, bounded(this.#options, context));
      const { count, freeInMs } = outcome;
      audit({ ...asked, outcome: 'ok', count, freeInMs });
      for (const heldMs of outcome.heldMs) observer.holdEnded({ resource, end: 'forced', heldMs });
      return outcome;
    } catch (error) {
      audit({ ...asked, outcome: error instanceof CoordinationError ? error.code : 'INTERNAL' });
      throw error;
    }
  }
}
