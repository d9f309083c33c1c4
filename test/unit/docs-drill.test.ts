// docs/drill.md against the command: each option that it names exists, with the default that it states, and its table
// explains each row that a report has.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { addDrillCommands } from '../../src/cli/drill-commands.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/drill.md'), 'utf8');
const PROSE = PAGE.replaceAll(/```text\n[\s\S]*?```/g, '');
const REPORT = /```text\n([\s\S]*?)```/.exec(PAGE)?.[1] ?? '';

const program = new Command();
addDrillCommands(program, {});
const failover = program.commands[0]?.commands[0];
const options = new Map(failover?.options.map((option) => [option.long, option]));

test('Each option that docs/drill.md names is one of the command', () => {
  const named = [...PROSE.matchAll(/(?<!npm run demo -)(--[a-z][a-z-]+)/g)].map(([, name]) => name);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((name) => name !== '--stay' && !options.has(name))).toEqual([]);
});

test.each([
  ['--before', /`--before`, (\d+ s)/],
  ['--settle', /`--settle`, (\d+ s)/],
  ['--within', /`--within` \((\d+ m)\)/],
  ['--max-without-renewals', /`--max-without-renewals`, (\d+ s)/],
  ['--max-lost', /`--max-lost`, (\d+)/],
])('docs/drill.md states the default of %s', (name, pattern) => {
  const option = options.get(name);
  const stated = pattern.exec(PROSE)?.[1]?.replace(' ', '');
  expect(stated).toBe(option?.defaultValueDescription ?? String(option?.defaultValue));
});

test('The table of docs/drill.md explains each row of the report that it shows', () => {
  const rows = [...REPORT.matchAll(/^ {2,4}([a-z][a-z ]+?) {2,}\S/gm)].map(([, name]) => name ?? '');
  expect(rows).toContain('time without renewals');
  const explained = [...PROSE.matchAll(/^\| ([^|]+?) \|/gm)].map(([, name]) => name);
  const calls = ['acquire', 'hand-over', 'renew', 'release', 'begin', 'claim', 'heartbeat'];
  const partOfOthers = ['full quarantine', 'judged'];
  const missing = rows.filter((name) => ![...explained, ...calls, ...partOfOthers].includes(name));
  expect(missing).toEqual([]);
});
