// The calls of a run by the operation record that they are about, each with what its answer showed of it. A claim names
// no record, so it is listed with the records that its answer has; a page of a list is one read of each of its records.

import type { OperationRequest, OperationState } from '../history.ts';
import { stateName } from './record-model.ts';
import { type Call, grouped, type Run } from './recorded-run.ts';

/** For this long after a fault was healed, a call may still meet broken connections. */
export const TROUBLED_MS = 15_000;

export interface RecordCall {
  /** `resource/operation_id` */
  readonly record: string;
  readonly call: Call;
  readonly request: OperationRequest;
  readonly fromMs: number;
  /** Infinity means that the outcome is unknown. */
  readonly toMs: number;
  /** It certainly changed nothing. It may have shown that there is no record. */
  readonly isFailed: boolean;
  readonly shown: OperationState | undefined;
}

export interface RecordCalls {
  readonly calls: ReadonlyMap<string, readonly RecordCall[]>;
  /**
   * Claims that may have taken any record unseen, in order: those whose answer nobody saw, and those during a fault,
   * which may have been tried several times and have given back what an earlier try had taken.
   */
  readonly unseenClaims: readonly number[];
}

export function recordCalls(run: Run): RecordCalls {
  const claims = run.calls.filter(({ began }) => began.rpc === 'ClaimOperations');
  const firstAsked = new Map<string, number>();
  for (const { began } of claims) {
    const claimId = began.operation?.claimId ?? '';
    if (!firstAsked.has(claimId)) firstAsked.set(claimId, began.atMs);
  }
  const all = run.calls.flatMap((call): RecordCall[] => {
    const { began, ended } = call;
    const request = began.operation;
    if (!request) return [];
    const outcome = ended?.outcome ?? 'unknown';
    const toMs = ended && outcome !== 'unknown' ? ended.atMs : Number.POSITIVE_INFINITY;
    // A repeated claim answers with what the first one took.
    const isClaim = began.rpc === 'ClaimOperations';
    const fromMs = (isClaim ? firstAsked.get(request.claimId ?? '') : undefined) ?? began.atMs;
    const common = { call, request, fromMs, toMs, isFailed: outcome === 'failed' };
    if (request.operationId !== '') {
      const record = `${request.resource}/${request.operationId}`;
      const shown = ended?.operation;
      if (outcome !== 'unknown' || !ended || !shown) return [{ ...common, record, shown }];
      // The last of several tries was answered: that one is a read, and the outcome of the earlier tries is unknown.
      const read = { ...common, record, shown, toMs: ended.atMs, isFailed: true };
      return [{ ...common, record, shown: undefined }, read];
    }
    if (outcome !== 'ok') return [];
    const page = ended?.operations ?? (ended?.operation ? [ended.operation] : []);
    return page.map((shown) => ({
      ...common,
      record: `${shown.resource ?? request.resource}/${shown.operationId}`,
      shown,
    }));
  });
  const unseenClaims = claims.filter(({ began, ended }) => {
    if ((ended?.outcome ?? 'unknown') === 'unknown') return true;
    return ended?.outcome === 'ok' && run.wasDisturbed(began.atMs - TROUBLED_MS, ended.atMs);
  });
  return {
    calls: grouped(all, ({ record }) => record),
    unseenClaims: unseenClaims.map(({ began }) => began.atMs),
  };
}

/** The version that an answer showed; 0 means that there was no record. */
export function versionShown({ shown }: RecordCall): number | undefined {
  if (shown === undefined) return undefined;
  return stateName(shown.state) === 'ABSENT' ? 0 : Number(shown.version);
}
