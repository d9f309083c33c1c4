// docs/doctor.md against the list of checks, in both directions.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CHECKS } from '../../src/doctor/checks.ts';
import { SEVERITIES } from '../../src/doctor/examination.ts';
import { table } from '../support/doc-table.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/doctor.md'), 'utf8');

test('docs/doctor.md lists every check of the doctor, in order, and no other', () => {
  const rows = CHECKS.map(({ name, about }) => [name, about.replaceAll('`', '')]);
  expect(rows.length).toBeGreaterThan(40);
  expect(table(PAGE, 'Checks')).toEqual(rows);
});

test('docs/doctor.md lists every severity, the worst first', () => {
  expect(table(PAGE, 'Severities').map(([severity]) => severity)).toEqual(SEVERITIES.toReversed());
});

test('the example in docs/doctor.md has no check that does not exist', () => {
  const named = [...PAGE.matchAll(/^(?:ERROR|WARNING|INFO) +(\S+) {2}/gm)].map(([, check]) => check);
  expect(named.length).toBeGreaterThan(2);
  expect(named.filter((check) => !CHECKS.some(({ name }) => name === check))).toEqual([]);
});

test('two checks never have one name', () => {
  expect(new Set(CHECKS.map(({ name }) => name)).size).toBe(CHECKS.length);
});
