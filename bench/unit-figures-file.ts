// Writes what the scenario `units` found into the file from which `leasehold capacity` makes its plans, with the date and
// the machine. Owns the form of that file.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from './report.ts';

export const UNIT_FIGURES = join(import.meta.dirname, '../src/capacity/unit-figures.ts');
const SCENARIO = 'units';

type Nested = { [name: string]: string | number | Nested };

/** @returns whether there was something to write: only a full run has figures that are good enough. */
export function writeUnitFigures(report: Report, file = UNIT_FIGURES): boolean {
  const figures = report.figures.filter(({ scenario }) => scenario === SCENARIO);
  if (figures.length === 0 || report.quick) return false;
  const { date, commit, machine, node } = report;
  const [redis = ''] = report.redis.split(/ from | \(/); // where it came from is of no use to others
  const all: Nested = { measured: { date: date.slice(0, 10), commit, machine, node, redis } };
  for (const { name, value } of figures) put(all, name.split('.'), Number(value.toPrecision(4)));
  writeFileSync(
    file,
    `// What one of each costs, as a full run of \`npm run bench\` measured it, which writes this file. The meaning of each
// figure is in unit-costs.ts. Nobody edits it by hand.
import type { UnitFigures } from './unit-costs.ts';

export const UNIT_FIGURES: UnitFigures = ${literal(all, '')};
`,
  );
  return true;
}

function put(into: Nested, [first = '', ...rest]: readonly string[], value: number): void {
  if (rest.length === 0) {
    into[first] = value;
    return;
  }
  const inner = into[first];
  const next: Nested = typeof inner === 'object' ? inner : {};
  into[first] = next;
  put(next, rest, value);
}

function literal(value: string | number | Nested, indent: string): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return `'${value.replaceAll(/[\\']/g, '\\$&')}'`;
  const lines = Object.entries(value).map(
    ([name, inner]) => `${indent}  ${name}: ${literal(inner, `${indent}  `)},\n`,
  );
  return `{\n${lines.join('')}${indent}}`;
}
