// Judges a recorded run again: `node test/chaos/checker/judge-run.ts FOLDER` reads the histories in it, prints the
// verdict, and exits with 1 if a promise was broken.

import { checkHistory } from './check-history.ts';
import { readHistory } from './read-history.ts';
import { report } from './verdict-report.ts';

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('Which folder? node test/chaos/checker/judge-run.ts FOLDER');
  process.exit(2);
}
const events = readHistory(folder);
const verdict = checkHistory(events);
console.log(report(verdict, events[0]?.atMs ?? 0));
process.exitCode = verdict.violations.length > 0 ? 1 : 0;
