// What an instance remembers of the attempts that it told of, and what a roll call makes of that, for the memory store:
// as told-model.ts, whose rules for leases it follows. Times without another name are on the instance's own monotonic
// clock.

import { type AttemptRef, nameOf, type OperationKey } from '../../src/domain/operation.ts';
import { SKEW_ALLOWANCE_MS } from '../../src/domain/safety.ts';
import type { OperationTable } from '../../src/store/memory/operation-table.ts';
import type { Origin } from './told-model.ts';

interface ToldAttempt extends Origin {
  readonly ref: AttemptRef;
  readonly isExclusive: boolean;
  endsMs: number;
  reign: number;
  clockMs: number;
}

/** One attempt as a roll call tells of it: how long its worker may go on. */
export interface AttemptLeft {
  readonly ref: AttemptRef;
  readonly isExclusive: boolean;
  readonly leftMs: number;
}

export class ToldAttemptsModel {
  readonly #attempts = new Map<string, ToldAttempt>();
  largestToken = 0n;

  note(told: ToldAttempt): void {
    const key = keyOf(told.ref);
    const known = this.#attempts.get(key);
    const { fencingToken } = told.ref;
    if (fencingToken > this.largestToken) this.largestToken = fencingToken;
    if (known && known.ref.fencingToken > fencingToken) return;
    const isIts = known?.ref.fencingToken === fencingToken;
    this.#attempts.set(key, { ...told, endsMs: Math.max(told.endsMs, isIts ? known.endsMs : 0) });
  }

  ended(ref: AttemptRef): void {
    const known = this.#attempts.get(keyOf(ref));
    if (known?.ref.fencingToken === ref.fencingToken) this.#attempts.delete(keyOf(ref));
  }

  /** What data of that origin may lack, as of now; from here on the data of `reign` have it, since that lease clock. */
  left(origin: Origin, nowMs: number, { reign, clockMs }: Origin): readonly AttemptLeft[] {
    const found: AttemptLeft[] = [];
    for (const told of this.#attempts.values()) {
      const { ref, isExclusive, endsMs } = told;
      if (endsMs <= nowMs || (told.reign === origin.reign && told.clockMs < origin.clockMs)) continue;
      found.push({ ref, isExclusive, leftMs: endsMs - nowMs });
      Object.assign(told, { reign, clockMs });
    }
    return found;
  }
}

function keyOf(ref: OperationKey & { readonly claimId: string }): string {
  return `${ref.claimId} ${nameOf(ref)}`;
}

/** Does to the data of a memory store what the script of a roll call does for one attempt. */
export function tellAttempt(table: OperationTable, { ref, isExclusive, leftMs }: AttemptLeft): void {
  const deadlineMs = table.clock.nowMs + leftMs + SKEW_ALLOWANCE_MS;
  const record = table.find(ref);
  const isIts = record !== undefined && table.isIts(record, ref);
  if (isIts && record.state === 'running' && record.attempt) {
    const { attempt, spec } = record;
    if (!spec.lock) attempt.deadlineMs = Math.max(attempt.deadlineMs, deadlineMs + table.clock.untakenMs);
  } else if (!isIts || record.state === 'dead') {
    table.bar(ref, { token: ref.fencingToken, deadlineMs, isExclusive });
  }
}
