// The table of statuses against what callers read about it: docs/errors.md and the comment of error_details.proto.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/domain/errors.ts';
import { STATUS_OF } from '../../src/transport/status-table.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8');
const proto = readFileSync(join(ROOT, 'proto/leasehold/v1/error_details.proto'), 'utf8');

const actual = ERROR_CODES.map((code) => [code, status[STATUS_OF[code]]]).sort();

/** The cells of the page's overview, a row for each reason. */
const rows = page
  .split('\n')
  .filter((line) => /^\| `[A-Z_]+` \|/.test(line))
  .map((line) => line.slice(2, -2).split(' | '));

function plain(cell: string | undefined): string {
  return (cell ?? '').replaceAll('`', '');
}

test('docs/errors.md lists every reason once, with its code, and no other', () => {
  expect(rows.map(([reason, code]) => [plain(reason), plain(code)]).sort()).toEqual(actual);
});

test('docs/errors.md explains every reason of its overview, in the same order, and no other', () => {
  const headings = [...page.matchAll(/^### `([A-Z_]+)`$/gm)].map((match) => match[1]);
  expect(headings).toEqual(rows.map(([reason]) => plain(reason)));
});

test('every explanation of a reason says whether the outcome is known and what to do', () => {
  const sections = page.split(/^### /m).slice(1);
  expect(sections).toHaveLength(ERROR_CODES.length);
  for (const section of sections) {
    expect(section).toMatch(/^- \*\*When\.\*\* /m);
    expect(section).toMatch(/^- \*\*Outcome\.\*\* /m);
    expect(section).toMatch(/^- \*\*What to do\.\*\* /m);
  }
});

test('the proto file gives the same code for each reason', () => {
  const table = new Map(
    [...proto.matchAll(/^\/\/ {3}([A-Z_]+) +([A-Z_]+) +\S/gm)].map(([, reason, code]) => [reason, code]),
  );
  expect(actual.map(([reason]) => [reason, table.get(reason)])).toEqual(actual);
});

test('UNAVAILABLE comes with RetryInfo, in the page as in the proto file', () => {
  const unavailable = rows.filter(([, code]) => plain(code) === 'UNAVAILABLE');
  expect(unavailable.length).toBeGreaterThan(5);
  for (const [reason, , , details] of unavailable) expect([reason, details]).toEqual([reason, 'RetryInfo']);
});
