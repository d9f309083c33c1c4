// The end of the demo: what the records say. Owns the words and the verdict; journal.ts does the arithmetic.

import { styled } from './demo-timeline.ts';
import type { LateRecord } from './failover-acts.ts';
import { type Journal, overlaps, promisesKept, renewalGapMs, shrinkingTokens } from './journal.ts';
import type { NewLocks } from './new-locks.ts';
import type { Outage } from './outage.ts';
import { handOversMs, isInOrder, type QueueRecord } from './queue-act.ts';

export const LEGEND = `  █ holds it   ▪ a new lock is granted   K primary killed   S new primary named
  R roll call complete: all servers have put back what they told, new locks again
  X primary and a server killed together   Q full quarantine over, new locks again`;

export interface DemoRecord {
  readonly journal: Journal;
  readonly newLocks: NewLocks;
  readonly queue: QueueRecord;
  readonly failover: Outage;
  readonly late: LateRecord;
  readonly loss: Outage;
  readonly nowMs: number;
}

const UNKNOWN = 'not seen';

/** Prints the summary. Returns whether all promises were kept. */
export function summarise({ journal, newLocks, queue, failover, late, loss, nowMs }: DemoRecord): boolean {
  const { beliefs, renewals } = journal;
  const row = (what: string, value: string): void => console.log(`  ${what.padEnd(46)} ${value}`);
  const renewalAfter = ({ killedMs }: Outage): string =>
    since(killedMs, renewals.find(({ atMs }) => atMs > killedMs)?.atMs);
  const newLockAfter = ({ killedMs }: Outage): string =>
    since(killedMs, newLocks.firstAfter(killedMs)?.grantedMs);
  const end = ({ how, servedMs, grantsMs }: Outage): string =>
    `${how === undefined ? UNKNOWN : ENDS[how]}, ${difference(servedMs, grantsMs)} after it was adopted`;

  console.log(`\nSummary, computed from ${beliefs.length} grants and ${renewals.length} renewals\n`);
  const inOrder = isInOrder(queue);
  const handOvers = handOversMs(queue).toSorted((a, b) => a - b);
  const isKept = late.renewedMs !== undefined;
  row('callers served in the order of arrival', verdict(inOrder ? [] : ['see above'], 'yes'));
  row('first one served, after its holder was killed', since(queue.killedMs, queue.served[0]?.grantedMs));
  row('from a release to the next grant, median', `${(handOvers[handOvers.length >> 1] ?? 0).toFixed(1)} ms`);
  row('two workers held the lease at once', verdict(overlaps(beliefs, nowMs), 'never'));
  row('every token larger than the one before', verdict(shrinkingTokens(beliefs), 'yes'));

  console.log('\n  the primary was killed, and all servers lived');
  row('new primary named by the Sentinels', since(failover.killedMs, failover.switchedMs));
  row('first renewal after the kill', renewalAfter(failover));
  row('time without renewals, kill included', seconds(renewalGapMs(renewals, failover.killedMs)));
  row('the lease that the new primary lacked', verdict(isKept ? [] : ['lost'], 'put back, and renewed'));
  row('leases put back, by the metrics of the servers', String(late.putBack ?? UNKNOWN));
  row('end of the quarantine', end(failover));
  row('first new lock', newLockAfter(failover));

  console.log('\n  the primary was killed together with a server');
  row('new primary named by the Sentinels', since(loss.killedMs, loss.switchedMs));
  row('first renewal after the kill', renewalAfter(loss));
  row('the roll call waited for', [...loss.missing].join(' and ') || 'nobody');
  row('end of the quarantine', end(loss));
  row('first new lock', newLockAfter(loss));

  console.log('\n  calls by outcome');
  for (const [rpc, outcomes] of journal.calls) {
    for (const [outcome, count] of [...outcomes].sort())
      console.log(`    ${rpc.padEnd(8)} ${outcome.padEnd(40)} ${String(count).padStart(5)}`);
  }
  const kept = promisesKept(journal, nowMs) && inOrder && isKept;
  console.log(`\n${kept ? styled('green', 'All promises kept.') : styled('red', 'A promise was broken.')}`);
  return kept;
}

const ENDS = { early: 'early, by the roll call', full: 'in full' } as const;

function verdict(breaches: readonly string[], good: string): string {
  return breaches.length === 0 ? styled('green', good) : styled('red', `NO: ${breaches.join('; ')}`);
}

function since(fromMs: number, toMs: number | undefined): string {
  return toMs === undefined ? UNKNOWN : `${seconds(toMs - fromMs)} after it`;
}

function difference(fromMs: number | undefined, toMs: number | undefined): string {
  return fromMs === undefined || toMs === undefined ? UNKNOWN : seconds(toMs - fromMs);
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? UNKNOWN : `${(ms / 1_000).toFixed(1)} s`;
}
