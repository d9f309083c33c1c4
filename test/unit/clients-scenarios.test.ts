// The scenarios that clients in all languages play: they can be read, their verbs are documented, and an expectation
// that isn't met is found. `npm run test:clients` plays them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { copiesOf, mismatch, readScenarios, resolved } from '../../scripts/test-clients/client-scenario.ts';

const FOLDER = join(import.meta.dirname, '../../clients/conformance');
const scenarios = readScenarios(FOLDER);
const readme = readFileSync(join(FOLDER, 'README.md'), 'utf8');

test('Every kind of surroundings has a scenario', () => {
  const needs = new Set(scenarios.map((scenario) => scenario.needs));
  expect([...needs].sort()).toEqual([
    'few streams',
    'one server',
    'sentinel',
    'tls',
    'tokens',
    'two servers',
  ]);
});

test('Every verb of the scenarios is documented', () => {
  const verbs = new Set(scenarios.flatMap(({ steps }) => steps.map(({ verb }) => verb)));
  const documented = [...readme.matchAll(/^\| `([a-z0-9_]+)[`:]/gm)].map((match) => match[1]);
  expect([...verbs].filter((verb) => verb !== 'finish' && !documented.includes(verb))).toEqual([]);
});

test('A scenario finishes what it starts, and only that', () => {
  for (const { name, steps } of scenarios) {
    const finished = steps.filter(({ verb }) => verb === 'finish').map(({ args }) => args.value);
    const started = steps.map(({ start }) => start).filter((start) => start !== undefined);
    expect([name, ...finished.sort()]).toEqual([name, ...started.sort()]);
  }
});

test.each([
  [{ a: 1 }, { a: 1, b: 2 }, undefined],
  [{ a: 1 }, { a: 2 }, 'a is 2, expected 1'],
  [{ a: { b: true } }, { a: {} }, 'a.b is undefined, expected true'],
  [{ a: null }, { a: 'x' }, 'a is "x", expected null'],
  [{ a: ['x'] }, { a: ['x', 'y'] }, 'a is ["x","y"], expected ["x"]'],
  [{ a: { gt: 1, lte: 2 } }, { a: 2 }, undefined],
  [{ a: { gt: 1 } }, { a: 1 }, 'a is 1, expected gt 1'],
  [{ a: { gt: 1 } }, {}, 'a is undefined, expected gt 1'],
  [{ a: { lte: 1 } }, { a: 1.5 }, 'a is 1.5, expected lte 1'],
  [{ a: { matches: 'b|c' } }, { a: 'xcx' }, undefined],
  [{ a: { matches: '^b' } }, { a: 'ab' }, 'a is "ab", expected matches "^b"'],
])('The expectation %j of %j yields %s', (expected, actual, wrong) => {
  expect(mismatch(expected, actual)).toBe(wrong);
});

test('The name of an earlier answer is replaced by that answer', () => {
  const answers = new Map([['first', { token: 7 }]]);
  expect(resolved({ token: { gt: '$first.token' }, text: 'first' }, answers)).toEqual({
    token: { gt: 7 },
    text: 'first',
  });
  expect(() => resolved('$second.token', answers)).toThrow('nothing was answered as second');
});

test('A step that is played several times has its number in each name', () => {
  const step = { verb: 'lock', args: { resource: 'r#', ttl: 5 }, as: 'held#', within: 9 };
  expect(copiesOf({ ...step, times: 2 })).toEqual([
    { verb: 'lock', args: { resource: 'r1', ttl: 5 }, as: 'held1', within: 9 },
    { verb: 'lock', args: { resource: 'r2', ttl: 5 }, as: 'held2', within: 9 },
  ]);
  expect(copiesOf(step)).toEqual([step]);
});
