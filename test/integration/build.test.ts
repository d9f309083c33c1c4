// What `npm run build` makes, as others see it: the built modules in a Node process of their own, beside the files that
// they read at run time.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadScripts } from '../../src/store/redis/scripts.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const LUA = 'src/store/redis/lua';

// What runs here is in a folder of its own each time: it would only fill the cache.
process.env.NODE_DISABLE_COMPILE_CACHE = '1';

let out: string;
const left = 'src/store/renamed-since.js';

beforeAll(async () => {
  // Inside the project, so that the built modules find the packages and know that they are ES modules.
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  out = await mkdtemp(join(ROOT, '.cache/build-test-'));
  await mkdir(join(out, 'src/store'), { recursive: true });
  await writeFile(join(out, left), '');
  // Two at once, as two `npm start` side by side would.
  await Promise.all([build(), build()]);
});

afterAll(async () => {
  await rm(out, { recursive: true, force: true });
});

async function build(...more: string[]): Promise<void> {
  await run(process.execPath, [join(ROOT, 'scripts/build.ts'), '--out', out, ...more], { timeout: 60_000 });
}

test('the built scripts module opens every Lua script, and each equals its source', async () => {
  const print = `import { loadScripts } from '${join(out, 'src/store/redis/scripts.js')}';
    console.log(JSON.stringify(Object.values(loadScripts()).map(({ name, sha1 }) => [name, sha1])));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', print]);
  const expected = Object.values(loadScripts()).map(({ name, sha1 }) => [name, sha1]);
  expect(expected.length).toBeGreaterThan(5);
  expect(JSON.parse(stdout)).toEqual(expected);
  expect((await readdir(join(out, LUA))).sort()).toEqual((await readdir(join(ROOT, LUA))).sort());
});

test('every module of the source is built, and nothing else is left', async () => {
  const sources = await modulesIn(ROOT, /(?<!\.d)\.ts$/);
  expect(sources).toContain('src/store/redis/scripts');
  expect(sources).not.toContain(left.replace(/\.js$/, ''));
  expect(await modulesIn(out, /\.js$/)).toEqual(sources);
});

test('the program named in package.json can be executed', async () => {
  const { bin } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
    readonly bin: Readonly<Record<string, string>>; // ours, and the next line fails if it isn't so
  };
  expect(Object.values(bin)).toEqual(['dist/src/main.js']);
  const program = join(out, 'src/main.js');
  expect((await readFile(program, 'utf8')).split('\n')[0]).toBe('#!/usr/bin/env node');
  await access(program, constants.X_OK);
});

test('a built server starts its server processes from the built files', async () => {
  // No Redis is there: a server waits for it.
  const env = {
    PATH: process.env.PATH ?? '',
    LEASEHOLD_REDIS_ADDRESS: '127.0.0.1:1',
    LEASEHOLD_SERVER_ADDRESS: '127.0.0.1:0',
    LEASEHOLD_ADMIN_ADDRESS: 'off',
  };
  const server = spawn(process.execPath, [join(out, 'src/main.js'), 'serve', '--workers', '2'], { env });
  const ended = once(server, 'close');
  let printed = '';
  let asked = false;
  for (const stream of [server.stdout, server.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      // Only one signal: a second would end the server at once.
      if (!asked && printed.includes('"msg":"serving"')) asked = server.kill('SIGTERM');
    });
  }
  expect(await ended, printed).toEqual([0, null]);
  expect(printed.match(/"msg":"worker serving"/g)).toHaveLength(2);
}, 30_000);

test('the build leaves alone a folder that contains anything else', async () => {
  const precious = join(out, 'letters.txt');
  await writeFile(precious, 'dear all');
  await expect(build()).rejects.toThrow('letters.txt');
  expect(await readFile(precious, 'utf8')).toBe('dear all');
  await rm(precious);
});

/** Modules below src/ and generated/, without their extension. */
async function modulesIn(root: string, extension: RegExp): Promise<string[]> {
  const folders = ['src', 'generated'].map(async (folder) => {
    const paths = await readdir(join(root, folder), { recursive: true });
    return paths
      .filter((path) => extension.test(path))
      .map((path) => `${folder}/${path.replace(extension, '')}`);
  });
  return (await Promise.all(folders)).flat().sort();
}
