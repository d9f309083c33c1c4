// What scripts are made of: each has the declarations of the shared parts that it uses, and no other.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { composeScript } from '../../src/store/redis/compose-script.ts';
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

test('each shared function has a name of its own', () => {
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

const PARTS_OF_A_TEST = `-- What a part is about.
local LIMIT = 5
local FIRST, SECOND = 1, 2
local PATTERN = 'a' ..
  'b'

-- Says how much.
local function on_one_line() return LIMIT end

local function passed_on(n)
  if n > 0 then
    return on_one_line()
  end
end

local function unused()
  return passed_on(SECOND)
end
`;

const declared = (body: string): string[] =>
  [...composeScript(PARTS_OF_A_TEST, body).matchAll(/^local (?:function )?(\w+)/gm)].map(
    ([, name]) => name ?? '',
  );

test.each([
  ['return 1', []],
  ['return on_one_line()', ['LIMIT', 'on_one_line']],
  ['return passed_on(1)', ['LIMIT', 'on_one_line', 'passed_on']],
  ['each(passed_on)', ['LIMIT', 'on_one_line', 'passed_on']], // handed over, not called
  ['return SECOND', ['FIRST']], // one declaration of two names
  ['return PATTERN', ['PATTERN']], // over two lines
  ['return 1 -- as passed_on(2)', []],
  ['return lock.LIMIT', []],
  ["return 'LIMIT'", []],
  // Here the finder is too careful: it keeps what no code uses.
  ['local LIMIT = 6', ['LIMIT', 'LIMIT']],
])('a script gets the shared declarations that it needs: "%s"', (body, names) => {
  expect(declared(body)).toEqual(names);
});

test('a shared part that does something, rather than declare it, is refused', () => {
  expect(() => composeScript("local A = 1\nredis.call('TIME')\n", 'return A')).toThrow(
    'not "redis.call(\'TIME\')"',
  );
});

test('a shared function on one line is left out without its neighbours', () => {
  const mark = scripts.find(({ name }) => name === 'mark-commit')?.source ?? '';
  expect(definedIn(mark)).toEqual(['time_us', 'int', 'is_late', 'enter', 'advance']);
});
