// Draws the plots of a report that was written before.
//
//   node bench/plot/run.ts REPORT.json FOLDER
import { readFileSync } from 'node:fs';
import type { Report } from '../report.ts';
import { writePlots } from './write-plots.ts';

const [file, folder] = process.argv.slice(2);
if (file === undefined || folder === undefined) {
  console.error('node bench/plot/run.ts REPORT.json FOLDER');
  process.exitCode = 2;
} else {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report; // written by bench/run.ts alone
  const { files, notExpected, notMeasured } = writePlots(report, folder);
  for (const name of files) console.log(name);
  for (const key of notExpected) console.log(`not drawn, no order of growth is expected of it: ${key}`);
  for (const key of notMeasured) console.log(`not drawn, it is not in the report: ${key}`);
}
