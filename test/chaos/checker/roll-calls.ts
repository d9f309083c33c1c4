// Judges that a quarantine ends early only where a roll call allows it: every instance of the registry has answered
// under this reign, one of the answers was fresh, and no quarantine that the adoption found in the data still runs. And
// that nobody answers under an older reign any more once a newer one has ended its quarantine early.
//
// Caught: an instance is cut off and doesn't answer; a majority of the others is taken for all, and what it told is
// granted to somebody else while its holder works. Or it has answered, and still tells of the grant that it made a
// moment before, under the reign before.

import type { Pulse } from '../history.ts';
import { configEpochOf, type EarlyEnd, earlyEnds, quarantines } from './quarantine-ends.ts';
import { grouped, type Run } from './recorded-run.ts';
import { Finder, type Findings, seconds } from './verdict.ts';

/** A server's account of itself may be as old as its last look at the Sentinels. */
const TOLD_WITHIN_MS = 1_000;

export function checkRollCalls(run: Run): Findings {
  const finder = new Finder('roll call');
  const ends = earlyEnds(run);
  finder.count('quarantines', quarantines(run));
  finder.count('early ends', ends.length);
  finder.count('leases put back', putBack(run));
  for (const end of ends) {
    const wrong = whatIsWrong(end, run.terms?.rollCall === true);
    if (wrong !== undefined) finder.violation(end.seen.atMs, `reign ${end.reign} ended early, ${wrong}`);
  }
  checkOlderReigns(run, ends, finder);
  return finder.findings();
}

function whatIsWrong({ seen }: EarlyEnd, isOn: boolean): string | undefined {
  if (!isOn) return 'though there are no roll calls';
  const owing = Object.entries(seen.entries).filter(([, epoch]) => epoch !== seen.epoch);
  if (owing.length > 0) return `though ${owing.map(([id]) => id).join(', ')} had not answered`;
  if (Object.keys(seen.entries).length === 0) return 'though nobody was registered';
  if (!seen.isFresh) return 'though no answer was fresh';
  if (seen.quarantineUntil < Math.min(seen.floor, seen.fullUntil)) {
    return 'though the quarantine of the reign before was not over';
  }
  return undefined;
}

function checkOlderReigns(run: Run, ends: readonly EarlyEnd[], finder: Finder): void {
  const told = new Set<string>();
  for (const pulse of run.of('pulse')) {
    if (!tells(pulse)) continue;
    const newer = ends.find(({ reign, overMs }) => {
      return (
        overMs + TOLD_WITHIN_MS < (pulse.askedMs ?? pulse.atMs) &&
        configEpochOf(reign) > configEpochOf(pulse.reign)
      );
    });
    const what = `${pulse.server} serves under reign ${pulse.reign}`;
    if (!newer || told.has(what)) continue;
    told.add(what);
    const since = seconds(pulse.atMs - newer.overMs);
    finder.violation(pulse.atMs, `${what} ${since} after the early end of reign ${newer.reign}`);
  }
}

/** In all; a server that is started again counts from 0. */
function putBack(run: Run): number {
  return [...grouped(run.of('looked'), ({ server }) => server).values()].reduce((sum, looks) => {
    return (
      sum +
      looks.reduce((own, { putBack: now }, index) => {
        const before = looks[index - 1]?.putBack ?? 0;
        return own + (now >= before ? now - before : now);
      }, 0)
    );
  }, 0);
}

function tells({ serving, reign, newcomerMs = 0 }: Pulse): boolean {
  return serving && reign !== '' && newcomerMs === 0;
}
