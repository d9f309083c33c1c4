// The calls of a run by the operation record that they are about, each with what its answer showed of it. A claim
// names no record, and is found at the records that it was answered with; a page of a list is one read of each of its
// records.

import type { OperationRequest, OperationState } from '../history.ts';
import { stateName } from './record-model.ts';
import { type Call, grouped, type Run } from './run.ts';

export interface RecordCall {
  /** `resource/operation_id` */
  readonly record: string;
  readonly call: Call;
  readonly request: OperationRequest;
  readonly fromMs: number;
  /** Infinity: the outcome is unknown. */
  readonly toMs: number;
  /** It changed nothing, certainly. It may have shown that there is no record. */
  readonly isFailed: boolean;
  readonly shown: OperationState | undefined;
}

export interface RecordCalls {
  readonly calls: ReadonlyMap<string, readonly RecordCall[]>;
  /** Claims that nobody saw answered, in order: each may have taken any record. */
  readonly unseenClaims: readonly number[];
}

export function recordCalls(run: Run): RecordCalls {
  const claims = run.calls.filter(({ began }) => began.rpc === 'ClaimOperations');
  const firstAsked = new Map<string, number>();
  const answered = new Set<string>();
  for (const { began, ended } of claims) {
    const claimId = began.operation?.claimId ?? '';
    if (!firstAsked.has(claimId)) firstAsked.set(claimId, began.atMs);
    if (ended?.outcome === 'ok') answered.add(claimId);
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
      const shown = outcome === 'unknown' ? undefined : ended?.operation;
      return [{ ...common, record: `${request.resource}/${request.operationId}`, shown }];
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
    return (ended?.outcome ?? 'unknown') === 'unknown' && !answered.has(began.operation?.claimId ?? '');
  });
  return {
    calls: grouped(all, ({ record }) => record),
    unseenClaims: unseenClaims.map(({ began }) => began.atMs),
  };
}

/** As an answer showed it; 0: there was none. */
export function versionShown({ shown }: RecordCall): number | undefined {
  if (shown === undefined) return undefined;
  return stateName(shown.state) === 'ABSENT' ? 0 : Number(shown.version);
}
