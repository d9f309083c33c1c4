// The rights that an instance asks for are those that its scripts use, and those that docs/redis-acl.md gives.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadScripts } from '../../src/store/redis/scripts.ts';
import {
  CHANNELS_OF_BUCKET,
  COMMANDS_ON_KEYS,
  KEYS_OF_BUCKET,
  OTHER_COMMANDS,
} from '../../src/store/redis/user-rights.ts';

const LUA = join(import.meta.dirname, '../../src/store/redis/lua');
const PAGE = readFileSync(join(import.meta.dirname, '../../docs/redis-acl.md'), 'utf8');

const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort();
const onKeys = COMMANDS_ON_KEYS.map(([name]) => name);

test('an instance asks for the right to every command that a script calls, and to no other', () => {
  const called = Object.values(loadScripts()).flatMap(({ source }) =>
    [...source.matchAll(/\bredis\.p?call\(\s*([^,)]+)/g)].map(([, command = '']) => command),
  );
  expect(called.filter((command) => !/^'[A-Z]+'$/.test(command))).toEqual([]);
  const names = sorted(called.map((command) => command.slice(1, -1).toLowerCase()));
  expect(names).toEqual(sorted([...onKeys, 'info', 'publish', 'time']));
});

test('an instance asks for the right to every key and channel that a script makes a name for', () => {
  const texts = readdirSync(LUA).map((name) => readFileSync(join(LUA, name), 'utf8'));
  const named = texts.flatMap((text) =>
    [...text.matchAll(/\bbucket \.\. '([^']+)'/g)].map(([, name = '']) => name),
  );
  expect(sorted(['meta', ...named])).toEqual(sorted([...KEYS_OF_BUCKET, ...CHANNELS_OF_BUCKET]));
});

test('the page on the Redis user gives the rights that an instance asks for, and two that it can do without', () => {
  const [, user = ''] = /^user leasehold ((?:.*\\\n)*.*)$/m.exec(PAGE) ?? [];
  const given = [...user.matchAll(/ \+(\S+)/g)].map(([, right = '']) => right);
  const others = OTHER_COMMANDS.map(([right]) => right);
  const asked = ['eval', ...others, 'publish', 'subscribe', ...onKeys];
  expect(sorted(given)).toEqual(sorted([...asked, 'client|setname', 'select']));
});
