// The texts of the command line: spans of time, tables that fit, and names that can't control a terminal.
import { expect, test } from 'vitest';
import { fields, printable, span, table } from '../../src/cli/text.ts';

test.for([
  [0, '0.0 s'],
  [420, '0.4 s'],
  [999.9, '1 s'],
  [12_000, '12 s'],
  [60_000, '1 min'],
  [200_000, '3 min 20 s'],
  [7_500_000, '2 h 5 min'],
  [273_600_000, '3 d 4 h'],
  [-5, '0.0 s'],
] as const)('A span of %d ms is printed as %s', ([ms, text]) => {
  expect(span(ms)).toBe(text);
});

test('A table is aligned, and nothing is cut off without a terminal', () => {
  const rows = [
    ['a'.repeat(40), 'x', '1'],
    ['b', '', '22'],
  ];
  expect(table(['NAME', 'OWNER', 'N'], rows, undefined).split('\n')).toEqual([
    `NAME${' '.repeat(36)}  OWNER  N`,
    `${'a'.repeat(40)}  x      1`,
    `b${' '.repeat(39)}  -      22`,
    '',
  ]);
});

test('A very long name in a table without a terminal shifts its own row only', () => {
  const long = 'x'.repeat(512);
  const rows = [
    [long, 'held', '1'],
    ['short', 'held', '22'],
  ];
  const [headings, first, second] = table(['NAME', 'STATE', 'N'], rows, undefined).split('\n');
  expect(headings).toBe(`NAME${' '.repeat(56)}  STATE  N`);
  expect(first).toBe(`${long}  held   1`);
  expect(second).toBe(`short${' '.repeat(55)}  held   22`);
});

test('On a terminal, the widest columns of a table give way', () => {
  const lines = table(['NAME', 'OWNER', 'N'], [['a'.repeat(40), 'b'.repeat(30), '123']], 40)
    .trimEnd()
    .split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBe(40);
  expect(lines[1]).toMatch(/^a+… {2}b+… {2}123$/);
});

test('Names that others have chosen cannot control the terminal', () => {
  expect(printable('\u001b[31mred\u0007\n\u202e')).toBe('\ufffd[31mred\ufffd\ufffd\ufffd');
  expect(table(['A'], [['\u001b[2J']], undefined)).not.toContain('\u001b');
  expect(fields([['owner', '\u001b[2J']])).toBe('owner  \ufffd[2J\n');
});
