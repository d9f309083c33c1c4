// Judges promise 5 for operations: a repeat has no second effect. A claim_id names one attempt of an operation, and a
// request_id that was answered twice moved the record once.
//
// Caught: the reply to Update is lost, the repeat with the same request_id writes again, and the version rises by two
// although nobody else wrote; a connection that resends its buffer after a reconnect does the same although nobody
// asked it to. (The check of tokens judges that a lease_id has one token.)

import { type RecordCall, recordCalls, versionShown } from './record-calls.ts';
import { stateName } from './record-model.ts';
import { grouped, type Run } from './recorded-run.ts';
import { explainsLoss, losingReigns } from './unexplained-losses.ts';
import { Finder, type Findings } from './verdict.ts';

/** The calls whose answers, while the record runs, show the caller's own attempt. */
const OWN_ATTEMPT = ['BeginOperation', 'ClaimOperations', 'UpdateOperation'];
const CHANGES = [...OWN_ATTEMPT, 'CompleteOperation', 'YieldOperation', 'CancelOperation', 'RetryOperation'];

export function checkRetries(run: Run): Findings {
  const finder = new Finder('retries');
  const losing = losingReigns(run);
  const { calls: byRecord, unseenClaims } = recordCalls(run);
  for (const [record, calls] of byRecord) {
    const answered = calls.filter(({ isFailed, shown }) => !isFailed && shown !== undefined);
    const running = answered.filter(({ call, shown }) => {
      return OWN_ATTEMPT.includes(call.began.rpc) && stateName(shown?.state ?? '') === 'RUNNING';
    });
    for (const [claimId, own] of grouped(running, ({ request }) => request.claimId ?? '')) {
      const [first] = own;
      const other = own.find(({ shown }) => shown?.attempt !== first?.shown?.attempt);
      if (claimId === '' || !first || !other) continue;
      if (explainsLoss(losing, { fromMs: first.fromMs, toMs: other.toMs })) continue;
      const text = `${record}: ${claimId} of ${first.call.began.by} had attempt ${first.shown?.attempt}`;
      finder.violation(other.toMs, `${text} and then attempt ${other.shown?.attempt}`);
    }
    for (const [requestId, same] of grouped(answered, ({ request }) => request.requestId ?? '')) {
      const byEnd = same.toSorted((a, b) => a.toMs - b.toMs);
      const [first, last] = [byEnd[0], byEnd.at(-1)];
      if (requestId === '' || !first || !last || first === last) continue;
      finder.count('repeats answered');
      const rose = (versionShown(last) ?? 0) - (versionShown(first) ?? 0);
      // Everything else that may have moved the record in between, including claims that nobody saw (taken, and given
      // back).
      const unseen = unseenClaims.filter((atMs) => atMs < last.toMs).length * 2;
      const others = othersBetween(calls, requestId, first, last) + unseen;
      if (rose <= others || explainsLoss(losing, { fromMs: first.fromMs, toMs: last.toMs })) continue;
      const text = `${record}: request ${requestId} was answered with version ${first.shown?.version}`;
      finder.violation(
        last.toMs,
        `${text} and its repeat with ${last.shown?.version}, with ${others} other changes`,
      );
    }
  }
  return finder.findings();
}

function othersBetween(
  calls: readonly RecordCall[],
  requestId: string,
  first: RecordCall,
  last: RecordCall,
): number {
  const others = calls.filter(({ call, request, isFailed, fromMs, toMs }) => {
    const isChange = CHANGES.includes(call.began.rpc) && !isFailed && request.requestId !== requestId;
    return isChange && fromMs <= last.toMs && toMs >= first.fromMs;
  });
  return others.length;
}
