// Judges promise 1 where the service itself is asked: CheckFencingToken never says that a token is the live one while
// another holder believes, for the whole length of the call, that it holds what excludes that token.
//
// Caught: an old primary that was replaced a moment ago still answers for the lease that it knows (confirmation before
// the question instead of after the reply), and a store that relies on the answer accepts a late write.
//
// "No" proves nothing: a failover may have forgotten a lease whose holder works on, rightly, until its deadline.

import { holdIntervals } from './hold-intervals.ts';
import { grouped, type Run } from './recorded-run.ts';
import { Finder, type Findings } from './verdict.ts';

export function checkTokenAnswers(run: Run): Findings {
  const finder = new Finder('token answers');
  const locks = holdIntervals(run).filter((one) => one.of === 'lock');
  const held = grouped(locks, ({ resource }) => resource);
  for (const { began, ended } of run.calls) {
    const { lock } = began;
    if (began.rpc !== 'CheckFencingToken' || !lock || ended?.outcome !== 'ok' || ended.said?.valid !== true)
      continue;
    finder.count('tokens found valid');
    const other = held.get(lock.resource)?.find(({ token, mode, fromMs, toMs }) => {
      const excludes = mode === 'exclusive' || lock.mode === 'exclusive';
      return token !== lock.token && excludes && fromMs <= began.atMs && toMs >= ended.atMs;
    });
    if (!other) continue;
    const text = `${lock.resource}: ${began.call} was told that token ${lock.token} is valid`;
    finder.violation(ended.atMs, `${text}, while ${other.by} held it with token ${other.token}`);
  }
  return finder.findings();
}
