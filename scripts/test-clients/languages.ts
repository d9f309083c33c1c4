// How to build each language's client and start its runner, and whether the tools for that are installed. Owns the
// commands. Everything that they fetch or make stays in .cache and in the languages' own caches.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { RunnerCommand } from './runner.ts';

const ROOT = join(import.meta.dirname, '../..');
const CACHE = join(ROOT, '.cache');

export interface Language {
  readonly name: string;
  /** Why the language is left out here; undefined if it is not. */
  missing(): string | undefined;
  /**
   * Builds what the runner needs and, given a server's address, runs the client's own tests. Throws if either fails.
   */
  prepare(testAddress?: string): void;
  readonly runner: RunnerCommand;
}

const PYTHON_ENVIRONMENT = join(CACHE, 'clients-python');
const PYTHON = join(PYTHON_ENVIRONMENT, 'bin/python');

export const LANGUAGES: readonly Language[] = [
  {
    name: 'typescript',
    missing: () => undefined,
    prepare() {},
    runner: {
      command: process.execPath,
      args: [join(ROOT, 'scripts/test-clients/typescript-runner.ts')],
      cwd: ROOT,
    },
  },
  {
    name: 'python',
    missing: () => unlessRuns('python3', ['-c', 'import sys, venv; assert sys.version_info >= (3, 10)']),
    prepare(testAddress) {
      if (!existsSync(PYTHON)) run('python3', ['-m', 'venv', PYTHON_ENVIRONMENT], ROOT);
      const folder = join(ROOT, 'clients/python');
      run(
        PYTHON,
        ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-e', `${folder}[dev]`],
        ROOT,
      );
      if (testAddress === undefined) return;
      for (const check of [['ruff', 'check'], ['ruff', 'format', '--check'], ['mypy']]) {
        run(PYTHON, ['-m', ...check], folder);
      }
      run(PYTHON, ['-m', 'pytest', '-q'], folder, testAddress);
    },
    runner: { command: PYTHON, args: ['conformance/runner.py'], cwd: join(ROOT, 'clients/python') },
  },
  {
    name: 'go',
    missing: () => unlessRuns('go', ['version']),
    prepare(testAddress) {
      const folder = join(ROOT, 'clients/go');
      run('go', ['build', '-o', join(CACHE, 'clients-go/runner'), './conformance'], folder);
      if (testAddress === undefined) return;
      run('go', ['vet', './...'], folder);
      run('go', ['test', '-race', '-count=1', './...'], folder, testAddress);
    },
    runner: { command: join(CACHE, 'clients-go/runner'), args: [], cwd: join(ROOT, 'clients/go') },
  },
  {
    name: 'java',
    missing: () => unlessRuns('javac', ['-version']) ?? unlessRuns('mvn', ['-version']),
    prepare(testAddress) {
      const goals = [
        '-q',
        '-B',
        ...(testAddress === undefined ? ['-DskipTests', '-Dmaven.javadoc.skip'] : []),
        'package',
      ];
      const folder = join(ROOT, 'clients/java');
      run('mvn', goals, folder, testAddress);
      if (testAddress === undefined) return;
      for (const kind of ['sources', 'javadoc']) {
        if (!existsSync(join(folder, `target/leasehold-client-0.1.0-${kind}.jar`)))
          throw new Error(`clients/java builds no jar of its ${kind}`);
      }
      // What users of the module path do: it fails if the jar hasn't that name.
      const jar = 'target/leasehold-client-0.1.0.jar';
      run('java', ['--module-path', jar, '--describe-module', 'leasehold.client'], folder);
    },
    runner: {
      command: 'java',
      args: [
        '-cp',
        ['target/classes', 'target/test-classes', 'target/dependency/*'].join(delimiter),
        'leasehold.conformance.Runner',
      ],
      cwd: join(ROOT, 'clients/java'),
    },
  },
];

function unlessRuns(command: string, args: readonly string[]): string | undefined {
  const { status, error } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? undefined : `${command} does not run here${error ? ` (${error.message})` : ''}`;
}

function run(command: string, args: readonly string[], cwd: string, testAddress?: string): void {
  const { status, signal, error } = spawnSync(command, args, {
    cwd,
    env: { ...process.env, ...(testAddress === undefined ? {} : { LEASEHOLD_TEST_ADDRESS: testAddress }) },
    stdio: ['ignore', 2, 2],
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status ?? signal}`);
}
