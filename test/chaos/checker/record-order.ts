// Judges the operation store as a whole: some order of single steps, each between the beginning and the end of its
// call, could have given the answers about each record (linearizability), by the model in record-model.ts.
//
// Caught: two claims that both got attempt 3; an update by the former worker that was accepted after the next attempt
// had begun; a repeated request_id that counted twice; a read from a primary that had already been replaced. The
// version counts every change, so a step too many or too few shows in the next answer.
//
// A failover that may have lost acknowledged writes (see unexplained-losses.ts) splits the history: what follows begins
// in any state, and a call that overlaps it may come before, after, or in neither part.

import { checkLinearizable, type TimedOp } from './linearizability.ts';
import { type RecordCall, recordCalls, TROUBLED_MS } from './record-calls.ts';
import { type RecordOp, recordModel } from './record-model.ts';
import type { Run } from './recorded-run.ts';
import { losingReigns, REIGN_BLUR_MS } from './unexplained-losses.ts';
import { Finder, type Findings } from './verdict.ts';

const MOST_CALLS = 2_000;
/** A client tries again at once where a connection broke, and otherwise after some seconds. */
const ONE_TRY_MS = 1_000;
const UNKNOWN = Number.POSITIVE_INFINITY;

export function checkRecordOrder(run: Run): Findings {
  const finder = new Finder('order of operations');
  const { calls: byRecord, unseenClaims } = recordCalls(run);
  const cuts = losingReigns(run).map(({ atMs }) => atMs);
  for (const [record, calls] of byRecord) {
    for (const [index, segment] of segments(calls, cuts).entries()) {
      const used = new Set(
        calls.filter(({ fromMs }) => fromMs < segment.fromMs).map(({ request }) => request.requestId),
      );
      const history = segment.calls
        .filter(({ isFailed, shown }) => !isFailed || shown !== undefined)
        .flatMap((one) => triesOf(one, run))
        .map((one) => timedOp(one, run, unseenClaims, used));
      if (history.length > MOST_CALLS) {
        finder.undecided(`${record} has ${history.length} calls, more than ${MOST_CALLS}`);
        continue;
      }
      const judged = checkLinearizable(recordModel(index === 0), history);
      if (judged === 'undecided')
        finder.undecided(`${record} with ${history.length} calls: the search gave up`);
      if (judged === 'violated')
        finder.violation(...tellShortest(record, segment.calls, history, index === 0));
      finder.count('records judged');
    }
  }
  return finder.findings();
}

interface Segment {
  readonly fromMs: number;
  readonly calls: readonly RecordCall[];
}

function segments(calls: readonly RecordCall[], cuts: readonly number[]): Segment[] {
  const bounds = [Number.NEGATIVE_INFINITY, ...cuts, UNKNOWN];
  return bounds.slice(0, -1).flatMap((fromMs, index) => {
    const [safeFromMs, safeToMs] = [fromMs + REIGN_BLUR_MS, (bounds[index + 1] ?? UNKNOWN) - REIGN_BLUR_MS];
    const within = calls.flatMap((one): RecordCall[] => {
      const endMs = one.call.ended?.atMs ?? UNKNOWN;
      if (endMs < fromMs - REIGN_BLUR_MS || one.fromMs > safeToMs + 2 * REIGN_BLUR_MS) return [];
      if (one.fromMs >= safeFromMs && (one.toMs === UNKNOWN || one.toMs <= safeToMs)) return [one];
      return one.isFailed ? [] : [{ ...one, toMs: UNKNOWN }];
    });
    return within.length > 0 ? [{ fromMs, calls: within }] : [];
  });
}

/**
 * One call may be several tries. The first one began an operation, and its reply was lost; the last one is answered
 * with the record as it is by then, claimed by somebody else: it changed nothing and only read.
 */
function triesOf(one: RecordCall, run: Run): RecordCall[] {
  const { call, request, isFailed, shown, fromMs, toMs } = one;
  const isRepeatable = request.requestId !== undefined || call.began.rpc === 'BeginOperation';
  const mayBeSeveral = toMs - fromMs > ONE_TRY_MS || run.wasDisturbed(fromMs - TROUBLED_MS, toMs);
  if (isFailed || !shown || !isRepeatable || toMs === UNKNOWN || !mayBeSeveral) return [one];
  return [
    { ...one, shown: undefined },
    { ...one, isFailed: true },
  ];
}

function timedOp(
  { call, request, fromMs, toMs, isFailed, shown }: RecordCall,
  run: Run,
  unseenClaims: readonly number[],
  used: ReadonlySet<string | undefined>,
): TimedOp<RecordOp> {
  const { claimId, requestId, value, ifVersion } = request;
  const deleted = toMs === UNKNOWN ? undefined : call.ended?.said?.deleted;
  return {
    fromMs,
    toMs,
    op: {
      // The record that an error shows is a read.
      rpc: isFailed ? 'GetOperation' : call.began.rpc,
      claimId,
      requestId,
      value,
      ifVersion: ifVersion === undefined ? undefined : Number(ifVersion),
      answer: shown,
      deleted: typeof deleted === 'boolean' ? deleted : undefined,
      mayRepeat: requestId !== undefined && used.has(requestId),
      // By an earlier call, or by an earlier try of this one, whose answer a fault took.
      isAskedAgain:
        call.began.rpc === 'ClaimOperations' &&
        (fromMs < call.began.atMs || run.wasDisturbed(fromMs - TROUBLED_MS, toMs)),
      unseenClaims: unseenClaims.filter((atMs) => atMs < toMs).length,
    },
  };
}

/** The answer that first made the history impossible, found by leaving out what was answered later. */
function tellShortest(
  record: string,
  calls: readonly RecordCall[],
  history: readonly TimedOp<RecordOp>[],
  fromStart: boolean,
): [atMs: number, text: string] {
  const ends = history.map(({ toMs }) => toMs).filter((toMs) => toMs !== UNKNOWN);
  const firstMs = ends
    .toSorted((a, b) => a - b)
    .find((endMs) => {
      const known = history.flatMap((one) => {
        if (one.fromMs > endMs) return [];
        return one.toMs <= endMs ? [one] : [{ ...one, toMs: UNKNOWN, op: { ...one.op, answer: undefined } }];
      });
      return checkLinearizable(recordModel(fromStart), known) === 'violated';
    });
  const atMs = firstMs ?? ends.at(-1) ?? 0;
  const told = calls
    .filter(({ toMs }) => toMs <= atMs)
    .toSorted((a, b) => a.toMs - b.toMs)
    .slice(-4)
    .map(({ call, shown }) => {
      const answer = shown
        ? `${shown.state} v${shown.version} attempt ${shown.attempt} '${shown.value ?? ''}'`
        : 'nothing';
      return `${call.began.rpc} ${call.began.call} by ${call.began.by} showed ${answer}`;
    });
  return [atMs, `${record}: no order of its calls explains the answers; the last: ${told.join('; ')}`];
}
