// The end of the demo: what the records say. Owns the words and the verdict; journal.ts does the arithmetic.

import { styled } from './demo-timeline.ts';
import { type Journal, overlaps, promisesKept, renewalGapMs, shrinkingTokens } from './journal.ts';
import { handOversMs, isInOrder, type QueueRecord } from './queue-act.ts';

/** The moments of the story, on the journal's clock; undefined if it didn't happen. */
export interface Moments {
  killedMs: number | undefined;
  switchedMs: number | undefined;
  quarantineFromMs: number | undefined;
  quarantineToMs: number | undefined;
}

const UNKNOWN = 'not seen';

/** Prints the summary. */
export function summarise(journal: Journal, moments: Moments, queue: QueueRecord, nowMs: number): void {
  const { beliefs, renewals } = journal;
  const { killedMs = Number.POSITIVE_INFINITY, switchedMs, quarantineFromMs, quarantineToMs } = moments;
  const renewedAfter = renewals.find(({ atMs }) => atMs > killedMs);
  const grantAfter = beliefs.find(({ fromMs }) => fromMs > killedMs);
  const row = (what: string, value: string): void => console.log(`  ${what.padEnd(46)} ${value}`);

  console.log(`\nSummary, computed from ${beliefs.length} grants and ${renewals.length} renewals\n`);
  const inOrder = isInOrder(queue);
  const handOvers = handOversMs(queue).toSorted((a, b) => a - b);
  row('callers served in the order of arrival', verdict(inOrder ? [] : ['see above'], 'yes'));
  row('first one served, after its holder was killed', since(queue.killedMs, queue.served[0]?.grantedMs));
  row('from a release to the next grant, median', `${(handOvers[handOvers.length >> 1] ?? 0).toFixed(1)} ms`);
  row('two workers held the lease at once', verdict(overlaps(beliefs, nowMs), 'never'));
  row('every token larger than the one before', verdict(shrinkingTokens(beliefs), 'yes'));
  row('new primary named by the Sentinels', since(killedMs, switchedMs));
  row('first renewal after the kill', since(killedMs, renewedAfter?.atMs));
  row('time without renewals, kill included', seconds(renewalGapMs(renewals, killedMs)));
  row('quarantine, as the servers told it', difference(quarantineFromMs, quarantineToMs));
  row('time without new grants, from the kill on', difference(killedMs, grantAfter?.fromMs));
  console.log('\n  calls by outcome');
  for (const [rpc, outcomes] of journal.calls) {
    for (const [outcome, count] of [...outcomes].sort())
      console.log(`    ${rpc.padEnd(8)} ${outcome.padEnd(40)} ${String(count).padStart(5)}`);
  }
  const kept = promisesKept(journal, nowMs) && inOrder;
  console.log(`\n${kept ? styled('green', 'All promises kept.') : styled('red', 'A promise was broken.')}`);
}

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
