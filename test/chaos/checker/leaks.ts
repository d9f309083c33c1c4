// Judges what is left when all clients have gone: no call, no kept lease, no watch, no key, no memory that only grows,
// and no process that ended by itself.
//
// Caught: a waiter whose stream ended in the middle of a failover and whose place is refreshed for ever; a lease
// without a deadline; a handler whose error nobody catches and that takes the server with it.

import { grouped, type Run } from './recorded-run.ts';
import { Finder, type Findings } from './verdict.ts';

const GONE = ['waitingCalls', 'keptLeases', 'watches', 'openCalls'] as const;
const MOST_RSS_BYTES = 512 * 1024 * 1024;
/** How much memory a server may have at the end, as a multiple of what it had at first. */
const MOST_GROWTH = 3;
/** A process this small may grow as it likes. */
const SMALL_RSS_BYTES = 128 * 1024 * 1024;

export function checkLeaks(run: Run): Findings {
  const finder = new Finder('leaks');
  for (const [server, lines] of grouped(run.of('leftovers'), (one) => one.server)) {
    const [first, last] = [lines[0], lines.at(-1)];
    if (!first || !last) continue;
    for (const what of GONE) {
      if (last[what] !== 0) finder.violation(last.atMs, `${server} still has ${last[what]} ${what}`);
    }
    const most = Math.min(MOST_RSS_BYTES, Math.max(first.rssBytes, SMALL_RSS_BYTES) * MOST_GROWTH);
    if (last.rssBytes > most) {
      finder.violation(last.atMs, `${server} has grown from ${first.rssBytes} to ${last.rssBytes} bytes`);
    }
  }
  const keys = run.of('left-keys').at(-1);
  if (keys && keys.keys.length > 0) {
    const some = keys.keys.slice(0, 5).join(', ');
    finder.violation(keys.atMs, `${keys.keys.length} keys are left that nothing would remove: ${some}`);
  }
  for (const text of run.end?.crashed ?? [])
    finder.violation(run.endedAtMs, `a process ended by itself: ${text}`);
  if (run.end && (!keys || run.of('leftovers').length === 0)) finder.undecided('nobody looked what was left');
  return finder.findings();
}
