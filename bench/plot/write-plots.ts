// Draws the curves of a report into a folder, one file per curve.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from '../report.ts';
import { curvesOf } from './curves.ts';
import { EXPECTED } from './expected-orders.ts';
import { logLogPlot } from './log-log-plot.ts';

export interface Drawn {
  readonly files: readonly string[];
  /** Curves in the report without an entry in expected-orders.ts. */
  readonly notExpected: readonly string[];
  /** Curves with an entry that the report doesn't have. */
  readonly notMeasured: readonly string[];
}

export function writePlots(report: Report, folder: string): Drawn {
  mkdirSync(folder, { recursive: true });
  const files: string[] = [];
  const curves = curvesOf(report.figures);
  for (const curve of curves) {
    const expectation = EXPECTED[curve.key];
    if (!expectation) continue;
    const file = join(folder, `${fileNameOf(curve.key)}.svg`);
    writeFileSync(file, logLogPlot(curve, expectation, noteOf(report)));
    files.push(file);
  }
  const keys = curves.map(({ key }) => key);
  return {
    files,
    notExpected: keys.filter((key) => EXPECTED[key] === undefined),
    notMeasured: Object.keys(EXPECTED).filter((key) => !keys.includes(key)),
  };
}

function fileNameOf(key: string): string {
  return (
    key
      .toLowerCase()
      .match(/[a-z0-9]+/g)
      ?.join('-') ?? ''
  );
}

function noteOf({ date, commit, machine }: Report): string {
  return `${machine.replace(/\s+before$/, '')} · ${date.slice(0, 10)} · ${commit}`;
}
