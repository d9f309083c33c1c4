// The mutants are what they say: each edit finds its place in today's source, each mutant starts, and its scripts
// compile in Redis. That each is caught is shown by test:rules and by the chaos suite.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHECK_NAMES } from '../chaos/checker/check-history.ts';
import { faultNamed } from '../chaos/rig/faults/catalogue.ts';
import { applied, type Mutant, mutated, ROOT, sourceOf, VARIABLE } from '../chaos/teeth/mutant.ts';
import { CHAOS_MUTANTS, MUTANTS, mutantNamed } from '../chaos/teeth/mutants.ts';
import { RULES } from '../chaos/teeth/rules.ts';
import { checksOf, SCENARIOS } from '../chaos/teeth/teeth-scenarios.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';

const PRELOAD = pathToFileURL(join(ROOT, 'test/chaos/teeth/without.ts')).href;
const VERSION: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;

const source = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

async function node(without: string, args: readonly string[]): Promise<{ out: string; code: number }> {
  const child = spawn(process.execPath, ['--import', PRELOAD, ...args], {
    env: { PATH: process.env.PATH ?? '', [VARIABLE]: without },
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
  }
  const [code] = await once(child, 'close');
  return { out, code: Number(code) };
}

describe('each mutant', () => {
  test.each(MUTANTS)('$name: its edits are found, and change something', (mutant: Mutant) => {
    expect(mutant.edits.length).toBeGreaterThan(0);
    for (const file of new Set(mutant.edits.map((edit) => edit.file))) {
      expect(mutated(mutant, file, source(file))).not.toBe(source(file));
    }
  });

  test('has a name of its own and says what goes wrong', () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
    for (const { name, letsThrough } of MUTANTS) {
      expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(letsThrough).toMatch(/^[A-Z].{40,}\.$/s);
    }
  });

  test('of the chaos suite has a scenario, whose steps are in order', () => {
    expect(Object.keys(SCENARIOS).toSorted()).toEqual(CHAOS_MUTANTS.toSorted());
    for (const { steps, shows, seconds, runs } of Object.values(SCENARIOS)) {
      const times = steps.map(({ atMs }) => atMs);
      expect(times.length).toBeGreaterThan(0);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(times.at(-1)).toBeLessThan(seconds * 1_000);
      expect(shows).toMatch(/\.$/);
      expect(runs).toBeGreaterThan(0);
    }
  });

  test('of the chaos suite is judged by checks and struck by faults that there are', () => {
    for (const scenario of Object.values(SCENARIOS)) {
      expect(CHECK_NAMES).toEqual(expect.arrayContaining([...checksOf(scenario)]));
      for (const { fault } of scenario.steps) expect(faultNamed(fault).name).toBe(fault);
    }
  });

  test('has a rule whose test fails with it', () => {
    expect(RULES.map(({ without }) => without).toSorted()).toEqual(
      MUTANTS.map(({ name }) => name).toSorted(),
    );
  });

  test('that the chaos suite has to catch is there', () => {
    for (const name of CHAOS_MUTANTS) expect(mutantNamed(name).name).toBe(name);
    expect(() => mutantNamed('nothing')).toThrow('no mutant is called nothing');
  });
});

describe('an edit', () => {
  const edit = { file: 'a', find: 'x', replace: 'y' };

  test('that is found once is made', () => expect(applied('axb', edit)).toBe('ayb'));

  test('that is not found, or twice, is refused', () => {
    expect(() => applied('ab', edit)).toThrow('found 0 times');
    expect(() => applied('xx', edit)).toThrow('found 2 times');
  });

  test('is made in the sources of the product alone', () => {
    expect(sourceOf(join(ROOT, 'src/main.ts'))).toBe('src/main.ts');
    for (const other of ['test/tidy.test.ts', 'node_modules/src/x.ts', 'src/store/redis/lua/prelude.lua']) {
      expect(sourceOf(join(ROOT, other))).toBeUndefined();
    }
  });
});

describe('a process with the preload', { timeout: 120_000 }, () => {
  let redis: RedisProcess;

  beforeAll(async () => {
    redis = await RedisProcess.server();
    await redis.start();
  });

  afterAll(() => redis?.stop());

  /** What `loadScripts` reads and each module that is edited, in one process of its own for each mutant. */
  async function scriptsOf({ name, edits }: Mutant): Promise<readonly { name: string; source: string }[]> {
    const modules = edits.map(({ file }) => file).filter((file) => file.endsWith('.ts'));
    const imports = [...new Set(modules)].map((file) => `await import('./${file}');`).join('\n');
    const program = `${imports}
      const { loadScripts } = await import('./src/store/redis/scripts.ts');
      console.log(JSON.stringify(Object.values(loadScripts())));`;
    const { out, code } = await node(name, ['--input-type=module', '--eval', program]);
    if (code !== 0) throw new Error(`${name}: ${out}`);
    return JSON.parse(out);
  }

  test('loads every mutant, and Redis compiles its scripts', async () => {
    const shipped = new Set((await scriptsOf({ name: '', letsThrough: '', edits: [] })).map((s) => s.source));
    const queue = [...MUTANTS];
    const one = async (): Promise<void> => {
      for (let mutant = queue.pop(); mutant; mutant = queue.pop()) {
        const scripts = await scriptsOf(mutant);
        const edited = scripts.filter((script) => !shipped.has(script.source));
        expect([mutant.name, edited.length > 0]).toEqual([
          mutant.name,
          mutant.edits.some(({ file }) => file.endsWith('.lua')),
        ]);
        for (const script of edited) {
          await redis.withClient((client) => client.call('SCRIPT', 'LOAD', script.source));
        }
      }
    };
    await Promise.all([one(), one(), one()]);
  });

  test('starts', async () => {
    expect(await node('clock-cap', ['src/main.ts', '--version'])).toEqual({ out: `${VERSION}\n`, code: 0 });
    expect((await node('confirmation', ['src/main.ts', '--version'])).code).toBe(0);
  });

  test('refuses the name of no mutant', async () => {
    const { out, code } = await node('nothing', ['src/main.ts', '--version']);
    expect(code).not.toBe(0);
    expect(out).toContain('no mutant is called nothing');
  });
});
