// `npm run test:package`: the packages as strangers get them, in projects outside this repository: packed here,
// installed by npm, and used with the tools that strangers use. Owns what is tried; the versions of the tools are the
// tested set of docs/sdk.md. Needs the npm registry, and says so where it can't be reached. Exit codes: 0 all passed,
// 1 something failed.
//
//   --only jest     tries only what has this in its name
import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatHostPort } from '../src/domain/host-port.ts';
import { ServerProcess } from '../test/support/server-process.ts';
import { StrangeProject } from './test-package/strange-project.ts';
import {
  COMMONJS_TEST,
  commonJs,
  ES_MODULE_TEST,
  esModule,
  ONE_COPY,
  TOKEN,
  TRACED,
  TYPED,
} from './test-package/stranger-programs.ts';

const ROOT = join(import.meta.dirname, '..');
const JEST = 'jest@29.7.0';
const BUNDLERS = ['webpack@5.113.0', 'webpack-cli@7.3.1', 'esbuild@0.28.2'];
const VITEST = 'vitest@5.1.1';
const TYPES = '@types/node@24';
const COMPILERS = { '5.9': 'typescript@5.9.3', '7': 'typescript@7.0.2' };
const TRACING = ['@opentelemetry/api@^1.9.0', '@opentelemetry/sdk-trace-node@2.12.1'];
/** Of the server; a client must not bring any of them along. */
const SERVER_ONLY = ['commander', 'ioredis', 'pino', 'prom-client', 'yaml', 'zod'];
/** Nothing listens at port 1. */
const NO_SENTINEL = 'redis:\n  address: [127.0.0.1:1]\n  failover_cluster: true\n  master_name: mymaster\n';

interface Trial {
  readonly says: string;
  run(): Promise<void>;
}

const { values: options } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const packed = await mkdtemp(join(tmpdir(), 'leasehold-packed-'));
const projects: StrangeProject[] = [];
const installed = new Map<string, Promise<StrangeProject>>();
let environment: Readonly<Record<string, string>> = {};

const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }; // ours
const whole = (): string => join(packed, `leasehold-${version}.tgz`);
const clientOnly = (): string => join(packed, `leasehold-client-${version}.tgz`);

async function project(type: 'module' | 'commonjs', ...packages: readonly string[]): Promise<StrangeProject> {
  const created = await StrangeProject.create(environment, type);
  projects.push(created);
  if (packages.length > 0) await created.install(...packages);
  return created;
}

/** One installation for all trials that want the same. */
function shared(type: 'module' | 'commonjs', ...packages: readonly string[]): Promise<StrangeProject> {
  const key = [type, ...packages].join(' ');
  const found = installed.get(key) ?? project(type, ...packages);
  installed.set(key, found);
  return found;
}

function expect(said: string, pattern: RegExp): void {
  if (!pattern.test(said)) throw new Error(`expected ${pattern} in:\n${said}`);
}

/** Runs a bundle where no package is installed. */
async function runBundle(from: StrangeProject, file: string): Promise<void> {
  const elsewhere = await project(file.endsWith('.mjs') ? 'module' : 'commonjs');
  await cp(join(from.folder, file), join(elsewhere.folder, file));
  expect(await elsewhere.run('node', file), TOKEN);
}

function compiles(
  compiler: keyof typeof COMPILERS,
  type: 'module' | 'commonjs',
  module: string,
  moduleResolution = module,
): Trial {
  return {
    says: `TypeScript ${compiler} compiles a program of type ${type} with module ${module}`,
    async run() {
      const { folder, write, run } = bound(await shared(type, whole(), COMPILERS[compiler], TYPES));
      const compilerOptions = {
        target: 'es2022',
        lib: ['es2024', 'esnext.disposable', 'dom'],
        types: ['node'],
        strict: true,
        noEmit: true,
        module,
        moduleResolution,
      };
      const config = `tsconfig.${module}.json`;
      await write('program.ts', TYPED);
      await write(config, JSON.stringify({ compilerOptions, files: ['program.ts'] }));
      await run('tsc', '-p', join(folder, config));
    },
  };
}

function bound(of: StrangeProject) {
  return { folder: of.folder, write: of.write.bind(of), run: of.run.bind(of), runWith: of.runWith.bind(of) };
}

const TRIALS: readonly Trial[] = [
  {
    says: 'an ES module imports the client and holds a lock',
    async run() {
      const { write, run } = bound(await shared('module', whole()));
      await write('hold.mjs', esModule('leasehold/client'));
      expect(await run('node', 'hold.mjs'), TOKEN);
    },
  },
  {
    says: 'a CommonJS program requires the client and holds a lock',
    async run() {
      const { write, run } = bound(await shared('module', whole()));
      await write('hold.cjs', commonJs('leasehold/client'));
      expect(await run('node', 'hold.cjs'), TOKEN);
    },
  },
  {
    says: 'a process that imports and requires the client has one copy of it',
    async run() {
      const { write, run } = bound(await shared('module', whole()));
      await write('copies.mjs', ONE_COPY);
      expect(await run('node', 'copies.mjs'), /^one$/m);
    },
  },
  {
    says: 'npx leasehold runs a command under a lock',
    async run() {
      const { run } = bound(await shared('module', whole()));
      const command = ['run', 'stranger', '--', 'sh', '-c', 'echo token $LEASEHOLD_FENCING_TOKEN'];
      expect(await run('npx', '--no', 'leasehold', ...command), TOKEN);
    },
  },
  {
    says: 'the commands that operate a deployment find all that they need in the package',
    async run() {
      const { write, run } = bound(await shared('module', whole()));
      // LEASEHOLD_ADDRESS is for the programs here, and no setting of a server.
      const code = (args: string): Promise<string> =>
        run('sh', '-c', `unset LEASEHOLD_ADDRESS; npx --no leasehold ${args}; echo "code $?"`);
      await write('away.yaml', NO_SENTINEL);
      expect(await code('capacity --locks 5'), /^This fits[\s\S]*^code 0$/m);
      expect(await code('locks top'), /^code 0$/m);
      expect(await code('locks deadlocks'), /^code 0$/m);
      expect(await code('doctor --config away.yaml'), /^ERROR {4}reach-sentinels[\s\S]*^code 2$/m);
      expect(await code('drill failover --yes --config away.yaml'), /reach-sentinels[\s\S]*^code 1$/m);
    },
  },
  {
    says: 'leasehold-client holds a lock, as a module and in CommonJS, and brings nothing of the server along',
    async run() {
      const { folder, write, run } = bound(await shared('module', clientOnly()));
      await write('hold.mjs', esModule('leasehold-client'));
      await write('hold.cjs', commonJs('leasehold-client'));
      await write('proto.mjs', "import { protoFiles } from 'leasehold-client/proto';\nprotoFiles();\n");
      expect(await run('node', 'hold.mjs'), TOKEN);
      expect(await run('node', 'hold.cjs'), TOKEN);
      await run('node', 'proto.mjs');
      const lock = await readFile(join(folder, 'package-lock.json'), 'utf8');
      const brought = SERVER_ONLY.filter((name) => lock.includes(`"node_modules/${name}"`));
      if (brought.length > 0) throw new Error(`it installs ${brought.join(', ')}`);
    },
  },
  ...(['5.9', '7'] as const).flatMap((compiler) => [
    compiles(compiler, 'commonjs', 'node16'),
    compiles(compiler, 'commonjs', 'nodenext'),
    compiles(compiler, 'commonjs', 'preserve', 'bundler'),
    compiles(compiler, 'module', 'node16'),
    compiles(compiler, 'module', 'nodenext'),
    compiles(compiler, 'module', 'esnext', 'bundler'),
  ]),
  {
    says: 'Jest 29 runs tests in CommonJS',
    async run() {
      const { write, run } = bound(await shared('commonjs', whole(), JEST));
      await write('own.test.js', COMMONJS_TEST);
      expect(await run('jest', '--rootDir=.'), /1 passed/);
    },
  },
  {
    says: 'Jest 29 runs tests that are ES modules',
    async run() {
      const { write, runWith } = bound(await shared('module', whole(), JEST));
      await write('own.test.js', ES_MODULE_TEST);
      expect(await runWith({ NODE_OPTIONS: '--experimental-vm-modules' }, 'jest', '--rootDir=.'), /1 passed/);
    },
  },
  {
    says: 'Vitest runs tests',
    async run() {
      const { write, run } = bound(await shared('module', whole(), VITEST));
      await write('own.test.js', `import { expect, test } from 'vitest';\n${ES_MODULE_TEST}`);
      expect(await run('vitest', 'run'), /1 passed/);
    },
  },
  ...(['cjs', 'mjs'] as const).map((extension) => ({
    says: `webpack bundles the client into .${extension}`,
    async run() {
      const { write, run, ...of } = bound(await shared('module', whole(), ...BUNDLERS));
      const output = { path: of.folder, filename: `webpack.${extension}`, module: extension === 'mjs' };
      const config = {
        mode: 'production',
        target: 'node22',
        entry: './hold.mjs',
        output,
        experiments: { outputModule: output.module },
      };
      await write('hold.mjs', esModule('leasehold/client'));
      await write(`webpack.${extension}.config.mjs`, `export default ${JSON.stringify(config)};\n`);
      await run('webpack', '--config', `webpack.${extension}.config.mjs`);
      await runBundle(await shared('module', whole(), ...BUNDLERS), `webpack.${extension}`);
    },
  })),
  {
    says: 'esbuild bundles the client into CommonJS',
    async run() {
      const bundlers = await shared('module', whole(), ...BUNDLERS);
      await bundlers.write('hold.mjs', esModule('leasehold/client'));
      const flags = ['--bundle', '--platform=node', '--format=cjs', '--outfile=esbuild.cjs'];
      await bundlers.run('esbuild', 'hold.mjs', ...flags);
      await runBundle(bundlers, 'esbuild.cjs');
    },
  },
  {
    says: 'esbuild bundles the client into an ES module, with the packages outside',
    async run() {
      const bundlers = await shared('module', whole(), ...BUNDLERS);
      await bundlers.write('hold.mjs', esModule('leasehold/client'));
      const flags = [
        '--bundle',
        '--platform=node',
        '--format=esm',
        '--packages=external',
        '--outfile=external.mjs',
      ];
      await bundlers.run('esbuild', 'hold.mjs', ...flags);
      expect(await bundlers.run('node', 'external.mjs'), TOKEN);
    },
  },
  {
    says: 'esbuild bundles the client and its packages into one ES module, with the banner of docs/sdk.md',
    async run() {
      const bundlers = await shared('module', whole(), ...BUNDLERS);
      const banner = /--banner:js="([^"]+)"/.exec(await readFile(join(ROOT, 'docs/sdk.md'), 'utf8'))?.[1];
      await bundlers.write('hold.mjs', esModule('leasehold/client'));
      const flags = [
        '--bundle',
        '--platform=node',
        '--format=esm',
        `--banner:js=${banner}`,
        '--outfile=esbuild.mjs',
      ];
      await bundlers.run('esbuild', 'hold.mjs', ...flags);
      await runBundle(bundlers, 'esbuild.mjs');
    },
  },
  {
    says: 'with the SDK of OpenTelemetry, a call carries the trace of its caller',
    async run() {
      const { folder, write, run } = bound(await shared('module', whole(), ...TRACING));
      await write('traced.mjs', TRACED);
      const said = await run('node', 'traced.mjs');
      const trace = /^trace (\w+)$/m.exec(said)?.[1];
      expect(said, new RegExp(`^header 00-${trace}-`, 'm'));
      const lock = await readFile(join(folder, 'package-lock.json'), 'utf8');
      const copies = lock.match(/node_modules\/@opentelemetry\/api"/g) ?? [];
      if (copies.length !== 1) throw new Error(`there are ${copies.length} copies of @opentelemetry/api`);
    },
  },
  {
    says: 'npm pack makes a whole package from a repository that was never built',
    async run() {
      const source = await clone();
      try {
        await symlink(join(ROOT, 'node_modules'), join(source, 'node_modules'));
        const stranger = await project('module');
        await stranger.run(
          'sh',
          '-c',
          'cd "$0" && npm pack --silent --pack-destination "$1"',
          source,
          stranger.folder,
        );
        const listed = await stranger.run('sh', '-c', 'tar -tzf leasehold-*.tgz');
        for (const file of ['src/main.js', 'src/client/client.js', 'cjs/src/client/client.js'])
          expect(listed, new RegExp(`^package/dist/${file}$`, 'm'));
      } finally {
        await rm(source, { recursive: true });
      }
    },
  },
  {
    says: 'npm install from a git repository gives a package that works',
    async run() {
      const source = await clone();
      try {
        const stranger = await project('module', `git+file://${source}`);
        await stranger.write('hold.mjs', esModule('leasehold/client'));
        expect(await stranger.run('node', 'hold.mjs'), TOKEN);
      } finally {
        await rm(source, { recursive: true });
      }
    },
  },
];

/** The last commit of this repository. */
async function clone(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-clone-'));
  const { status, stderr } = spawnSync('git', ['clone', '--quiet', '--depth=1', `file://${ROOT}`, folder]);
  if (status !== 0) throw new Error(`git clone: ${stderr}`);
  return folder;
}

function reachable(): boolean {
  const { status } = spawnSync('npm', ['ping', '--fetch-retries=0', '--fetch-timeout=10000'], {
    cwd: tmpdir(),
  });
  return status === 0;
}

async function pack(): Promise<void> {
  const pack = await StrangeProject.create({});
  projects.push(pack);
  await pack.run('sh', '-c', 'cd "$0" && npm pack --silent --pack-destination "$1"', ROOT, packed);
  await pack.run('node', join(ROOT, 'scripts/pack-client.ts'), '--out', packed);
}

const counts = { passed: 0, failed: 0, skipped: 0 };
const wanted = TRIALS.filter(({ says }) => says.toLowerCase().includes(options.only.toLowerCase()));
if (wanted.length === 0) throw new Error(`--only: nothing is tried that has "${options.only}" in its name`);

if (reachable()) {
  await pack();
  const server = await ServerProcess.start({ environment: {} });
  const address = formatHostPort(server.address);
  environment = { LEASEHOLD_ADDRESS: address, LEASEHOLD_CLIENT_SERVER: address };
  try {
    for (const { says, run } of wanted) {
      const startedMs = performance.now();
      const failure = await run().then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      counts[failure === undefined ? 'passed' : 'failed'] += 1;
      const tookS = ((performance.now() - startedMs) / 1_000).toFixed(1);
      console.log(`${failure === undefined ? 'ok      ' : 'FAILED  '}  ${says} (${tookS} s)`);
      if (failure !== undefined) console.log(failure.replace(/^/gm, '          '));
    }
  } finally {
    await server.kill();
    for (const created of projects) await created.remove();
    await rm(packed, { recursive: true, force: true });
  }
} else {
  counts.skipped = wanted.length;
  console.log('left out all: the npm registry can’t be reached from here');
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 ? 0 : 1;
