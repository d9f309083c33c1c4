// Processes with a mutant in them: each mutant loads, its scripts compile in Redis, and the server starts.
// test/unit/chaos.mutants.test.ts checks that the edits find their places.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Mutant, ROOT, VARIABLE } from '../chaos/teeth/mutant.ts';
import { MUTANTS } from '../chaos/teeth/mutants.ts';
import { bareEnvironment } from '../support/command-line.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';

const PRELOAD = pathToFileURL(join(ROOT, 'test/chaos/teeth/without.ts')).href;
const VERSION: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;

async function node(without: string, args: readonly string[]): Promise<{ out: string; code: number }> {
  const child = spawn(process.execPath, ['--import', PRELOAD, ...args], {
    env: bareEnvironment({ [VARIABLE]: without }),
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

  test('a process with the preload loads every mutant, and Redis compiles its scripts', async () => {
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

  test('a process with the preload starts', async () => {
    expect(await node('clock-cap', ['src/main.ts', '--version'])).toEqual({ out: `${VERSION}\n`, code: 0 });
    expect((await node('confirmation', ['src/main.ts', '--version'])).code).toBe(0);
  });

  test('a process with the preload refuses a name that no mutant has', async () => {
    const { out, code } = await node('nothing', ['src/main.ts', '--version']);
    expect(code).not.toBe(0);
    expect(out).toContain('no mutant is called nothing');
  });
});
