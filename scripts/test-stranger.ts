// `npm run test:stranger`: what the table "Tried as a stranger would" in CONTRIBUTING.md names: its npm scripts, and
// its tests of vitest in one run. The table is the list, and has a row for each kind of fault. What it names of a
// client is part of `npm run test:clients`. Exit codes: 0 all passed, 1 something failed.
//
//   --list     prints what would run
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { table } from '../test/support/doc-table.ts';

const ROOT = join(import.meta.dirname, '..');

const { values: options } = parseArgs({ options: { list: { type: 'boolean', default: false } } });
const rows = table(readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8'), 'Tried as a stranger would');
const places = rows.map((row) => row.at(-1) ?? '').join('\n');

const found = (pattern: RegExp): string[] => [
  ...new Set([...places.matchAll(pattern)].map(([, name]) => name ?? '')),
];
const runs = [
  ['npx', 'vitest', 'run', ...found(/\((test\/[^)]+\.test\.ts)\)/g)],
  ...found(/npm run ([\w:]+)/g).map((script) => ['npm', 'run', script]),
];

const failed: string[] = [];
for (const [command = '', ...args] of runs) {
  const line = [command, ...args].join(' ');
  console.log(`\n> ${line}`);
  if (options.list) continue;
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) failed.push(line);
}
for (const line of failed) console.log(`FAILED  ${line}`);
process.exitCode = failed.length === 0 ? 0 : 1;
