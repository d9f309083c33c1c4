// One operation record as a machine of single steps: what each call makes of it and may answer. Time is left out: a
// running attempt may be stale at any moment, so a claim may always take over, and an open record may always be given
// up. What the model keeps are states, versions, attempts, tokens, values, and who is allowed to write.
//
// Versions count every change by one, so that a lost or a doubled write shows even where nobody looked at its value.

import type { OperationState } from '../history.ts';
import type { Model } from './linearizability.ts';

export interface RecordOp {
  readonly rpc: string;
  readonly claimId: string | undefined;
  readonly requestId: string | undefined;
  readonly value: string | undefined;
  readonly ifVersion: number | undefined;
  /** The record in the answer; undefined for an unknown outcome or an answer that shows no record. */
  readonly answer: OperationState | undefined;
  /** The answer of DeleteOperation. */
  readonly deleted: boolean | undefined;
  /** The request_id was used before the history begins. */
  readonly mayRepeat: boolean;
  /** A claim whose claim_id was asked for before, or in an earlier try: it may show what that took unseen. */
  readonly isAskedAgain?: boolean;
  /** This many claims whose answers nobody got had begun by its end: each may have taken this record, unseen. */
  readonly unseenClaims: number;
}

/** An undefined field is not known; the next answer fills it in. */
export interface RecordState {
  /** ABSENT, or a state of the contract; ANY means that the history begins in the middle. */
  readonly state: string;
  readonly version: number;
  readonly attempt: number;
  readonly token: string | undefined;
  /** What the record shows while it is open, and again after a retry. */
  readonly progress: string | undefined;
  /** What it shows once it has succeeded or failed. */
  readonly result: string | undefined;
  readonly claimId: string | undefined;
  readonly isCancelling: boolean | undefined;
  /** The requests that took effect. */
  readonly applied: readonly string[];
  /** How many unseen claims have taken the record so far. */
  readonly unseen: number;
}

const ABSENT: RecordState = {
  state: 'ABSENT',
  version: 0,
  attempt: 0,
  token: undefined,
  progress: undefined,
  result: undefined,
  claimId: undefined,
  isCancelling: false,
  applied: [],
  unseen: 0,
};

const ANY: RecordState = { ...ABSENT, state: 'ANY', isCancelling: undefined };
const FINAL = ['SUCCEEDED', 'FAILED', 'CANCELLED', 'DEAD'];
/** The owner of an attempt that was claimed for a call whose end nobody saw. */
const UNSEEN = '?';
const READS = ['GetOperation', 'ListOperations', 'WaitOperation'];

/** `fromStart` means that there was no record before the first call. */
export function recordModel(fromStart: boolean): Model<RecordState, RecordOp> {
  return {
    initial: fromStart ? ABSENT : ANY,
    step: (state, op) => stepsOf(state, op),
    key: (state) => JSON.stringify({ ...state, applied: state.applied.toSorted() }),
    isRead: ({ rpc }) => READS.includes(rpc),
  };
}

/** "RUNNING", however the name of the state was written. */
export function stateName(state: string): string {
  return state.toUpperCase().replace(/^OPERATION_STATE_/, '');
}

function stepsOf(before: RecordState, op: RecordOp): RecordState[] {
  const { answer } = op;
  if (before.state === 'ANY') {
    if (op.rpc === 'DeleteOperation' && op.deleted !== undefined) return [ABSENT];
    return [answer ? adopt(op, answer) : before];
  }
  const most = answer ? Number(answer.version) : before.version + 2;
  return unseenSteps(before, op, most).flatMap((state) =>
    effects(state, op).flatMap((after) => (answer ? fitted(after, answer) : [after])),
  );
}

/**
 * What may have happened before without a visible call: the operation was given up, or an unseen claim took it and gave
 * it back.
 */
function unseenSteps(before: RecordState, op: RecordOp, mostVersion: number): RecordState[] {
  const all = [before];
  for (const one of all) {
    if (one.version >= mostVersion || one.state === 'ABSENT' || FINAL.includes(one.state)) continue;
    const next = { ...one, version: one.version + 1 };
    all.push({ ...next, state: 'DEAD' });
    if (one.unseen < op.unseenClaims) all.push({ ...started(one, UNSEEN), unseen: one.unseen + 1 });
    if (one.state === 'RUNNING' && one.claimId === UNSEEN) all.push({ ...next, state: 'PENDING' });
  }
  return all;
}

function effects(o: RecordState, op: RecordOp): RecordState[] {
  const isOpen = o.state === 'PENDING' || o.state === 'RUNNING';
  switch (op.rpc) {
    case 'BeginOperation':
      return begun(o, op);
    case 'ClaimOperations':
      if (!isOpen || op.claimId === undefined) return [];
      return [
        ...(holds(o, op) || tookUnseen(o, op) ? [{ ...o, claimId: op.claimId }] : []),
        ...taken(o, op.claimId),
      ];
    case 'UpdateOperation':
      return holds(o, op) ? once(o, op, (own) => updated(own, op)) : [];
    case 'CompleteOperation':
      return once(o, op, (own) => (holds(own, op) ? completed(own, op) : []));
    case 'YieldOperation':
      return once(o, op, (own) => (holds(own, op) ? [changed(own, op, { state: 'PENDING' })] : []));
    case 'CancelOperation':
      return once(o, op, () => cancelled(o, op));
    case 'RetryOperation':
      return once(o, op, () => {
        if (o.state !== 'FAILED' && o.state !== 'DEAD') return [];
        return [changed(o, op, { state: 'PENDING', isCancelling: false })];
      });
    case 'DeleteOperation':
      // `false` may be the answer to a repeat whose first try removed the record.
      if (o.state === 'ABSENT') return op.deleted === true ? [] : [o];
      if (o.state === 'RUNNING') return [];
      return [{ ...ABSENT, unseen: o.unseen }];
    default:
      return [o];
  }
}

function begun(o: RecordState, { claimId, value = '' }: RecordOp): RecordState[] {
  if (o.state === 'ABSENT') {
    const created: RecordState = {
      ...ABSENT,
      state: 'PENDING',
      version: 1,
      progress: value,
      unseen: o.unseen,
    };
    return [claimId === undefined ? created : { ...started(created, claimId), version: 1 }];
  }
  if (claimId === undefined || FINAL.includes(o.state)) return [o];
  const own = o.state === 'RUNNING' && (o.claimId ?? claimId) === claimId;
  return [...(own ? [{ ...o, claimId }] : []), ...taken(o, claimId)];
}

/**
 * A claim by a claim_id that doesn't have the attempt: the same claim_id never starts a second attempt while its first
 * runs.
 */
function taken(o: RecordState, claimId: string): RecordState[] {
  return o.state === 'RUNNING' && o.claimId === claimId ? [] : [started(o, claimId)];
}

function started(o: RecordState, claimId: string): RecordState {
  const next = { version: o.version + 1, attempt: o.attempt + 1, token: undefined };
  return { ...o, ...next, claimId, state: 'RUNNING' };
}

/** Whether the caller is allowed to write as the running attempt. */
function holds(o: RecordState, { claimId }: RecordOp): boolean {
  return o.state === 'RUNNING' && (o.claimId === undefined || o.claimId === claimId);
}

/** Whether the running attempt may be what a former try of this claim took, whose answer nobody saw. */
function tookUnseen(o: RecordState, { isAskedAgain = false }: RecordOp): boolean {
  return isAskedAgain && o.state === 'RUNNING' && o.claimId === UNSEEN;
}

/** A request_id that took effect has no second effect, and the answer is the record as it is. */
function once(o: RecordState, op: RecordOp, effect: (own: RecordState) => RecordState[]): RecordState[] {
  const { requestId, claimId, mayRepeat } = op;
  if (requestId !== undefined && o.applied.includes(requestId)) return [o];
  // Only a request that took effect says whose the attempt is.
  const fresh = effect(claimId === undefined ? o : { ...o, claimId: o.claimId ?? claimId });
  return mayRepeat ? [o, ...fresh] : fresh;
}

function changed(o: RecordState, { requestId }: RecordOp, change: Partial<RecordState>): RecordState {
  const applied = requestId === undefined ? o.applied : [...o.applied, requestId];
  return { ...o, version: o.version + 1, applied, ...change };
}

function updated(o: RecordState, op: RecordOp): RecordState[] {
  if (op.ifVersion !== undefined && op.ifVersion !== o.version) return [];
  const same = changed(o, op, { version: o.version });
  // A write that changes nothing is only a sign of life.
  if (op.value === undefined || op.value === o.progress) return [same];
  const fresh = changed(o, op, { progress: op.value });
  return o.progress === undefined ? [fresh, { ...same, progress: op.value }] : [fresh];
}

function completed(o: RecordState, op: RecordOp): RecordState[] {
  const results = ['SUCCEEDED', 'FAILED'].map((state) => changed(o, op, { state, result: op.value }));
  return [...results, changed(o, op, { state: 'CANCELLED' })];
}

function cancelled(o: RecordState, op: RecordOp): RecordState[] {
  if (o.state === 'CANCELLED') return [o];
  if (o.state === 'PENDING') return [changed(o, op, { state: 'CANCELLED' })];
  if (o.state !== 'RUNNING') return [];
  const asked = changed(o, op, { isCancelling: true });
  if (o.isCancelling === undefined) return [asked, { ...o, isCancelling: true }];
  return [o.isCancelling ? o : asked];
}

/** The state with what the answer adds to it; none where they contradict each other. */
function fitted(o: RecordState, answer: OperationState): RecordState[] {
  const state = stateName(answer.state);
  if (state === 'ABSENT' || o.state === 'ABSENT') return state === o.state ? [o] : [];
  if (state !== o.state || Number(answer.version) !== o.version || answer.attempt !== o.attempt) return [];
  const shows = shownIn(state);
  const [token, value] = [answer.token ?? o.token, answer.value ?? o[shows]];
  if ((o.token ?? token) !== token || (o[shows] ?? value) !== value) return [];
  return [{ ...o, token, [shows]: value }];
}

function shownIn(state: string): 'result' | 'progress' {
  return state === 'SUCCEEDED' || state === 'FAILED' ? 'result' : 'progress';
}

function adopt(op: RecordOp, answer: OperationState): RecordState {
  const state = stateName(answer.state);
  if (state === 'ABSENT') return ABSENT;
  const { attempt, token, value } = answer;
  const isOwn = state === 'RUNNING' && !READS.includes(op.rpc);
  const applied = op.requestId === undefined ? [] : [op.requestId];
  const claimId = isOwn ? op.claimId : undefined;
  const shown = { state, version: Number(answer.version), attempt, token, [shownIn(state)]: value };
  return { ...ANY, ...shown, claimId, applied };
}
