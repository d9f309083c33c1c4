// What scripts are made of: of the shared parts each has the functions that it uses, and no other.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadScripts } from '../../src/store/redis/scripts.ts';

const LUA = join(import.meta.dirname, '../../src/store/redis/lua');
const PARTS = ['prelude', 'locking', 'lock-views', 'operation-records', 'operating', 'operation-views'];
const DEFINITION = /^local function (\w+)/gm;

const definedIn = (text: string): string[] => [...text.matchAll(DEFINITION)].map(([, name]) => name ?? '');
const shared = PARTS.flatMap((part) => definedIn(readFileSync(join(LUA, `${part}.lua`), 'utf8')));
const scripts = Object.values(loadScripts());

/** How often a function is named in the code, its definition included. */
function mentions(source: string, name: string): number {
  const code = source.replaceAll(/--.*/g, '');
  return [...code.matchAll(new RegExp(`\\b${name}\\(`, 'g'))].length;
}

test('the shared parts have functions, each of one name', () => {
  expect(shared.length).toBeGreaterThan(50);
  expect(new Set(shared).size).toBe(shared.length);
});

test.each(scripts)('$name defines the shared functions that it uses, and no other', ({ source }) => {
  const defined = definedIn(source).filter((name) => shared.includes(name));
  const used = shared.filter((name) => mentions(source, name) > 0);
  expect(defined).toEqual(used);
  const unused = defined.filter((name) => mentions(source, name) < 2);
  expect(unused).toEqual([]);
});

test('a function on one line is left out alone', () => {
  const mark = scripts.find(({ name }) => name === 'mark-commit')?.source ?? '';
  expect(definedIn(mark)).toEqual(['time_us', 'int', 'enter', 'advance']);
});
