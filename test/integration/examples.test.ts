// The examples as a reader runs them: against a real server, each in a process of its own. Those in Python run where
// an interpreter has grpcio and grpcio-tools (LEASEHOLD_TEST_PYTHON names it, else python3). They work for seconds; one
// is frozen while another begins, so that it isn't over before, however slow the machine is.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { startInstance, TestClient } from '../support/test-instance.ts';

const ROOT = join(import.meta.dirname, '../..');
const PYTHON = process.env.LEASEHOLD_TEST_PYTHON ?? 'python3';
const hasPython =
  spawnSync(PYTHON, ['-c', 'import grpc, grpc_tools, google.rpc.error_details_pb2']).status === 0;

interface Run {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<number | null>;
}

interface Language {
  readonly name: string;
  readonly command: (example: string) => readonly string[];
  /** Prepares what the examples of this language need. Returns the variables for their environment. */
  readonly prepare: (folder: string) => Record<string, string>;
}

const LANGUAGES: readonly Language[] = [
  {
    name: 'TypeScript',
    command: (example) => [process.execPath, join(ROOT, 'examples', `${example}.ts`)],
    prepare: () => ({}),
  },
  {
    name: 'Python',
    command: (example) => [PYTHON, join(ROOT, 'examples/python', `${example.replaceAll('-', '_')}.py`)],
    prepare: (folder) => {
      const protos = readdirSync(join(ROOT, 'proto/leasehold/v1')).map((name) => `leasehold/v1/${name}`);
      const includes = ['-I', 'proto/third_party', '-I', 'proto'];
      const outputs = [`--python_out=${folder}`, `--grpc_python_out=${folder}`];
      execFileSync(PYTHON, ['-m', 'grpc_tools.protoc', ...includes, ...outputs, ...protos], { cwd: ROOT });
      return { PYTHONPATH: folder };
    },
  },
];

for (const { name, command, prepare } of LANGUAGES) {
  const isMissing = name === 'Python' && !hasPython;
  // Python and its packages are not among the project's own, and may be missing.
  describe.skipIf(isMissing)(`the examples in ${name}`, () => {
    let instance: Instance;
    let client: TestClient;
    let folder: string;
    let environment: Record<string, string>;
    const children: ChildProcess[] = [];

    beforeAll(async () => {
      instance = await startInstance();
      client = new TestClient(instance.address);
      folder = mkdtempSync(join(tmpdir(), 'leasehold-examples-'));
      environment = prepare(folder);
    }, 60_000);

    afterAll(async () => {
      for (const child of children) child.kill('SIGKILL');
      client?.close();
      await instance?.stop();
      if (folder) rmSync(folder, { recursive: true });
    });

    function run(example: string, ...args: string[]): Run {
      const [program = '', ...rest] = command(example);
      const server = formatHostPort(instance.address);
      const withServer = name === 'TypeScript' ? [...args, server] : args;
      const env = { ...process.env, ...environment, LEASEHOLD: server };
      const child = spawn(program, [...rest, ...withServer], { env, stdio: ['ignore', 'pipe', 'pipe'] });
      children.push(child);
      let text = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
      }
      const ended = once(child, 'close').then(([code]: (number | null)[]) => code ?? null);
      return { child, output: () => text, ended };
    }

    const says = (one: Run, what: RegExp): Promise<unknown> =>
      eventually(() => what.test(one.output()), { what: `${what} in: ${one.output()}`, withinMs: 20_000 });

    test('in the leader election one candidate leads and the other follows', {
      timeout: 60_000,
    }, async () => {
      const first = run('leader-election');
      await says(first, /leads, term \d+/);
      const second = run('leader-election');
      await says(second, /follows, position 1/);
      expect(second.output()).not.toMatch(/leads/);
    });

    test('readers read side by side, and the writer writes after them', { timeout: 60_000 }, async () => {
      const reader = run('readers-and-writer', 'read');
      await says(reader, /reads with token \d+/);
      reader.child.kill('SIGSTOP');
      const token = (one: Run): number => Number(/with token (\d+)/.exec(one.output())?.[1]);
      const beside = run('readers-and-writer', 'read');
      await says(beside, /reads with token \d+/);
      const holders = (await client.getLock('price-list')).lock?.holders ?? [];
      expect(holders.map(({ fencingToken }) => Number(fencingToken))).toContain(token(reader));
      const writer = run('readers-and-writer', 'write');
      const isWaiting = async () => (await client.getLock('price-list')).lock?.waiterCount === 1;
      await eventually(isWaiting, { what: 'a writer that waits', withinMs: 20_000 });
      reader.child.kill('SIGCONT');
      expect(await writer.ended).toBe(0);
      expect([await reader.ended, await beside.ended]).toEqual([0, 0]);
      expect(token(writer)).toBeGreaterThan(Math.max(token(reader), token(beside)));
    });

    test('the nightly job is run by one process, and by no other for a while', {
      timeout: 60_000,
    }, async () => {
      const first = run('nightly-job');
      await says(first, /page 1/);
      first.child.kill('SIGSTOP');
      const second = run('nightly-job');
      expect(await second.ended).toBe(1);
      first.child.kill('SIGCONT');
      expect(second.output()).toMatch(/not run here: someone else holds the resource/);
      expect(await first.ended).toBe(0);
      expect(first.output()).toMatch(/page 7/);
      const late = run('nightly-job');
      expect(await late.ended).toBe(1);
      expect(late.output()).toMatch(/min_hold/);
    });
  });
}
