// Draws the plots of a report that an earlier run wrote.
//
//   node bench/plot/run.ts REPORT.json FOLDER
import { readFileSync } from 'node:fs';
import type { Report } from '../report.ts';
import { writePlots } from './write-plots.ts';

const [file, folder] = process.argv.slice(2);
if (file === undefined || folder === undefined) {
  console.error('usage: node bench/plot/run.ts REPORT.json FOLDER');
  process.exitCode = 2;
} else {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report; // only bench/run.ts writes it
  const { files, notExpected, notMeasured } = writePlots(report, folder);
  for (const name of files) console.log(name);
  for (const key of notExpected)
    console.log(`not drawn, because expected-orders.ts has no entry for it: ${key}`);
  for (const key of notMeasured) console.log(`not drawn, because the report doesn't have it: ${key}`);
}
