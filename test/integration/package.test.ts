// The package as a user installs it: packed by npm and unpacked into a project of its own, whose programs are those of
// docs/sdk.md. They are type-checked against the packed declarations; the quickstart and the documented test run.
import { type ExecFileException, execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { NODE_NEEDED, nodeVersionProblem } from '../../src/node-version.ts';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { clientTo } from '../support/sdk-rig.ts';
import { startInstance } from '../support/test-instance.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');

// What runs here is in a folder of its own each time: it would only fill the cache.
process.env.NODE_DISABLE_COMPILE_CACHE = '1';

let folder: string;
let project: string;
let installed: string;
let instance: Instance;

beforeAll(async () => {
  instance = await startInstance();
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  // Inside this project, so that the dependencies are found without a network; it uses nothing else from here.
  folder = await mkdtemp(join(ROOT, '.cache/package-test-'));
  const source = join(folder, 'source');
  await mkdir(source);
  for (const path of ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE', 'buf.yaml', 'proto', 'docs']) {
    await cp(join(ROOT, path), join(source, path), { recursive: true });
  }
  await run(process.execPath, [join(ROOT, 'scripts/build.ts'), '--out', join(source, 'dist')]);
  const { stdout } = await run('npm', ['pack', '--silent', '--ignore-scripts', '--offline'], { cwd: source });
  project = join(folder, 'project');
  installed = join(project, 'node_modules/leasehold');
  await mkdir(installed, { recursive: true });
  await run('tar', ['-xzf', join(source, stdout.trim()), '-C', installed, '--strip-components=1']);
  await writeFile(join(project, 'package.json'), '{ "type": "module" }');
}, 120_000);

afterAll(async () => {
  await instance?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** The programs of docs/sdk.md, by the headings above them. */
async function programs(): Promise<Map<string, string>> {
  const page = await readFile(join(ROOT, 'docs/sdk.md'), 'utf8');
  const sections = page.split(/^## /m).map((section): [string, string | undefined] => {
    return [section.split('\n', 1)[0] ?? '', /```ts\n(.*?)```/s.exec(section)?.[1]];
  });
  return new Map(sections.filter((section): section is [string, string] => section[1] !== undefined));
}

/** The program's failure as a sentence, with what it printed. */
function output(error: ExecFileException & { stdout?: string; stderr?: string }): never {
  throw new Error(`${error.message}\n${error.stdout ?? ''}${error.stderr ?? ''}`);
}

test('every program of docs/sdk.md passes the compiler against the packed declarations', {
  timeout: 120_000,
}, async () => {
  const all = [
    ...(await programs()).values(),
    "import { LockServiceClient, longrunning, protoFiles } from 'leasehold/proto';\nexport const used: readonly unknown[] = [LockServiceClient, longrunning.OperationsClient, protoFiles().files];\n",
  ];
  expect(all.length).toBeGreaterThan(4);
  const files = all.map((_, index) => `program-${index}.ts`);
  for (const [index, text] of all.entries()) await writeFile(join(project, files[index] ?? ''), text);
  const compilerOptions = {
    target: 'es2024',
    module: 'nodenext',
    lib: ['es2024', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
  };
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', project]).catch(output);
});

test('The programs in the docs and the examples use no syntax that Node.js 22 lacks', async () => {
  const docs = (await readdir(join(ROOT, 'docs'))).filter((name) => name.endsWith('.md'));
  const examples = (await readdir(join(ROOT, 'examples'))).filter((name) => name.endsWith('.ts'));
  const paths = [
    'README.md',
    ...docs.map((name) => `docs/${name}`),
    ...examples.map((name) => `examples/${name}`),
  ];
  for (const path of paths) {
    const text = await readFile(join(ROOT, path), 'utf8');
    const code = path.endsWith('.ts') ? text : [...text.matchAll(/```[jt]s\n(.*?)```/gs)].join('');
    expect([path, code.match(/^.*\busing \w+ =.*$/gm)]).toEqual([path, null]);
  }
});

test('the quickstart has about 20 lines, and runs', { timeout: 60_000 }, async () => {
  const text = (await programs()).get('Quickstart') ?? '';
  expect(text.trim().split('\n').length).toBeLessThanOrEqual(22);
  const program = join(project, 'quickstart.ts');
  await writeFile(program, text.replace('127.0.0.1:50051', formatHostPort(instance.address)));
  const { stdout } = await run(process.execPath, [program]).catch(output);
  expect(stdout).toMatch(
    /^held with fencing token \d+, \d+ s at least\nand again, with the larger token \d+\n$/,
  );
});

test('the documented test of a user’s own code runs', { timeout: 60_000 }, async () => {
  const program = join(project, 'own.ts');
  await writeFile(program, (await programs()).get('Tests of your own') ?? '');
  const { stdout, stderr } = await run(process.execPath, [program]).catch(output);
  expect([stdout, stderr]).toEqual(['', '']);
});

/** What modules load as soon as they are loaded themselves: folders of dist/, and packages. */
async function loadedBy(
  ...roots: string[]
): Promise<{ readonly folders: string[]; readonly packages: string[] }> {
  const dist = join(installed, 'dist');
  const [modules, packages] = [new Set<string>(), new Set<string>()];
  const follow = async (path: string): Promise<void> => {
    if (modules.has(path)) return;
    modules.add(path);
    const text = await readFile(path, 'utf8');
    for (const [, specifier = ''] of text.matchAll(
      /^(?:import|export)\b[^'"]*?\bfrom\s*['"]([^'"]+)['"]|^import\s*['"]([^'"]+)['"]/gm,
    )) {
      if (specifier.startsWith('.')) await follow(join(dirname(path), specifier));
      else packages.add(specifier);
    }
  };
  for (const root of roots) await follow(join(dist, root));
  const folders = [...modules].map((path) =>
    relative(dist, dirname(path)).replace(/^(generated\/\w+)\/.*/, '$1'),
  );
  return {
    folders: [...new Set(folders)].sort(),
    packages: [...packages].filter((name) => !name.startsWith('node:')).sort(),
  };
}

const OF_THE_CLIENT = {
  folders: [
    'generated/google',
    'generated/leasehold',
    'src/client',
    'src/client/core',
    'src/domain',
    'src/tracing',
  ],
  packages: ['@bufbuild/protobuf/wire', '@grpc/grpc-js', '@opentelemetry/api'],
};

test('the client contains no code of the server', async () => {
  expect(await loadedBy('src/client/client.js', 'src/client/proto.js')).toEqual(OF_THE_CLIENT);
});

test('the program loads client or server only when a command needs it, and never both', async () => {
  // An old Node.js can't read the rest.
  expect(await loadedBy('src/main.js')).toEqual({ folders: ['src'], packages: [] });
  expect(await loadedBy('src/main.js', 'src/package-info.js', 'src/cli/program.js')).toEqual({
    folders: ['src', 'src/cli', 'src/config', 'src/domain'],
    packages: ['commander'],
  });
  const actions = ['run-actions', 'lease-actions', 'locks-actions', 'ops-actions', 'info-action'];
  const { folders, packages } = await loadedBy(...actions.map((name) => `src/cli/${name}.js`));
  expect(folders).toEqual([...OF_THE_CLIENT.folders, 'src/cli', 'src/config'].sort());
  expect(packages).toEqual([...OF_THE_CLIENT.packages, 'commander'].sort());
  const server = await loadedBy('src/server/serve-process.js');
  expect(server.folders.filter((folder) => /^src\/(cli|client)/.test(folder))).toEqual([]);
});

/** As npm makes it. */
async function linkProgram(): Promise<void> {
  const { bin } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as {
    readonly bin: Readonly<Record<string, string>>; // ours
  };
  await mkdir(join(project, 'node_modules/.bin'), { recursive: true });
  await rm(join(project, 'node_modules/.bin/leasehold'), { force: true });
  await symlink(join(installed, bin.leasehold ?? ''), join(project, 'node_modules/.bin/leasehold'));
}

const inProject = () => ({
  cwd: project,
  env: {
    PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`,
    LEASEHOLD_CLIENT_SERVER: formatHostPort(instance.address),
  },
});

test('npx leasehold: the program of the package runs, and holds a lock', { timeout: 60_000 }, async () => {
  await linkProgram();
  const command = ['run', 'demo', '--', 'sh', '-c', 'echo token $LEASEHOLD_FENCING_TOKEN'];
  const { stdout } = await run('npx', ['--offline', '--no', 'leasehold', ...command], inProject()).catch(
    output,
  );
  expect(stdout).toMatch(/^token \d+\n$/);
});

// It finds its npm in /proc.
test.skipIf(process.platform !== 'linux').for(['SIGTERM', 'SIGKILL'] as const)(
  '%s to an npx that runs leasehold run ends the command and frees the lock',
  { timeout: 60_000 },
  async (signal) => {
    await linkProgram();
    const command = ['run', `under-npx-${signal}`, '--', 'sh', '-c', 'echo pid $$; exec sleep 60'];
    const npx = spawn('npx', ['--offline', '--no', 'leasehold', ...command], {
      ...inProject(),
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let stdout = '';
    npx.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const pid = (): number => Number(/^pid (\d+)\n/.exec(stdout)?.[1] ?? 0);
    await eventually(() => pid() > 0, { what: 'the command', withinMs: 30_000 });
    onTestFinished(() => {
      if (isRunning(pid())) process.kill(pid(), 'SIGKILL');
    });
    npx.kill(signal);
    await eventually(() => !isRunning(pid()), { what: 'the end of the command', withinMs: 10_000 });
    const free = async () => (await clientTo(instance.address).locks.get(command[1] ?? '')).state === 'free';
    await eventually(free, { what: 'a free lock', withinMs: 10_000 });
  },
);

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

// A Node.js of today that calls itself an old one, and the old ones on this machine's PATH, where npm puts ours first.
const PRETENDED =
  "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })";
const OLD: (readonly [version: string, ...command: string[]])[] = [
  ['20.20.2', process.execPath, '--import', `data:text/javascript,${encodeURIComponent(PRETENDED)}`],
];
const onPath = (process.env.PATH ?? '').split(':').map((entry) => join(entry, 'node'));
for (const path of new Set(onPath.filter((file) => existsSync(file)).map((file) => realpathSync(file)))) {
  const version = spawnSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout?.trim();
  if (version && nodeVersionProblem(version) !== undefined) OLD.push([version, path]);
}

test.for(OLD)(
  'With Node.js %s, every command says first of all which one it needs, and ends with 2',
  {
    timeout: 60_000,
  },
  ([version, node = '', ...options]) => {
    const main = join(installed, 'dist/src/main.js');
    const message = `leasehold needs Node.js 22.12 or newer, and this is ${version}. Put a newer one first on your PATH.\n`;
    for (const args of [
      ['serve'],
      ['serve', '--workers', '2'],
      ['run', 'r', '--', 'true'],
      ['--version'],
      [],
    ]) {
      const { status, stdout, stderr } = spawnSync(node, [...options, main, ...args], { encoding: 'utf8' });
      expect([args, status, stdout, stderr]).toEqual([args, 2, '', message]);
    }
    // A shell may evaluate this, and must not go on.
    const acquire = spawnSync(node, [...options, main, 'acquire', 'r'], { encoding: 'utf8' });
    expect([acquire.status, acquire.stdout]).toEqual([2, expect.stringMatching(/\(exit 2\)\n$/)]);
  },
);

test.for(OLD)(
  'With Node.js %s, startTestServer rejects with the one it needs, and the client holds a lock',
  {
    timeout: 60_000,
  },
  async ([version, node = '', ...options]) => {
    const program = join(project, 'old.mjs');
    await writeFile(
      program,
      `import { createClient } from 'leasehold/client';
     import { startTestServer } from 'leasehold/testing';
     await startTestServer().catch(({ message }) => console.log(message));
     const client = createClient({ addresses: '${formatHostPort(instance.address)}' });
     await client.withLock('old', () => console.log('held'));
     client.close();`,
    );
    const { stdout } = await run(node, [...options, program]).catch(output);
    expect(stdout).toBe(
      `leasehold/testing needs Node.js 22.12 or newer, and this is ${version}. Put a newer one first on your PATH.\nheld\n`,
    );
  },
);

test('The Node.js that the program asks for is the one in package.json', async () => {
  const { engines } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as {
    readonly engines: Readonly<Record<string, string>>; // ours
  };
  expect(engines.node).toBe(`>=${NODE_NEEDED}`);
  expect(['22.12.0', '22.13.1', '24.0.0', '100.1.0'].map(nodeVersionProblem)).toEqual(
    Array(4).fill(undefined),
  );
  expect(
    ['22.11.0', '20.20.2', '8.0.0'].filter((version) => nodeVersionProblem(version) === undefined),
  ).toEqual([]);
});

test('a CommonJS program gets the ES modules, and Jest and bundlers a form of their own', async () => {
  const program = join(project, 'required.cjs');
  await writeFile(program, "console.log(require.resolve('leasehold/testing'));");
  const resolved = async (...flags: string[]): Promise<string> => {
    const { stdout } = await run(process.execPath, [...flags, program]).catch(output);
    return relative(installed, stdout.trim());
  };
  expect(await resolved()).toBe('dist/src/testing/test-server.js');
  expect(await resolved('--no-require-module')).toBe('dist/cjs/src/testing/test-server.js');
});

test('the CommonJS form starts a server and holds a lock', { timeout: 60_000 }, async () => {
  const program = join(project, 'commonjs.cjs');
  await writeFile(
    program,
    `const { startTestServer } = require('leasehold/testing');
    startTestServer({ settings: { LEASEHOLD_SERVER_REFLECTION: 'true' } }).then(async (server) => {
      const lease = await server.createClient().acquire('a');
      console.log('token', lease.fencingToken);
      await server.stop();
    });`,
  );
  const { stdout } = await run(process.execPath, ['--no-require-module', program]).catch(output);
  expect(stdout).toMatch(/^token \d+n\n$/);
});

test('no file of the package points to a source that is not in it', async () => {
  const paths = await readdir(join(installed, 'dist'), { recursive: true });
  expect(paths.filter((path) => path.endsWith('.map'))).toEqual([]);
  const text = await readFile(join(installed, 'dist/src/client/client.js'), 'utf8');
  expect(text).not.toContain('sourceMappingURL');
});

test.each(['', 'proto'])(
  'buf generates code from the folder leasehold/%s of the package',
  {
    timeout: 60_000,
  },
  async (path) => {
    const plugin = join(ROOT, 'node_modules/.bin/protoc-gen-ts_proto');
    const template = { version: 'v2', plugins: [{ local: ['node', plugin], out: 'stubs', strategy: 'all' }] };
    const args = ['generate', join(installed, path), '--template', JSON.stringify(template)];
    await run(join(ROOT, 'node_modules/.bin/buf'), args, { cwd: project }).catch(output);
    const stubs = await readdir(join(project, 'stubs'), { recursive: true });
    expect(stubs).toContain('leasehold/v1/lock_service.ts');
    expect(stubs).toContain('google/longrunning/operations.ts');
    await rm(join(project, 'stubs'), { recursive: true });
  },
);

test('the package contains the .proto files, with everything that they import', async () => {
  const paths = await readdir(join(installed, 'proto'), { recursive: true });
  expect(paths).toContain('leasehold/v1/lock_service.proto');
  expect(paths).toContain('third_party/google/rpc/status.proto');
});

test('protoc finds each .proto file under the name that others import it by', async () => {
  const program = join(project, 'include-order.ts');
  await writeFile(
    program,
    "import { protoFiles } from 'leasehold/proto';\nconsole.log(protoFiles().includeDirs.join());",
  );
  const { stdout } = await run(process.execPath, [program]).catch(output);
  // It takes the first folder that a file is below, and third_party is below proto.
  const below = stdout
    .trim()
    .split(',')
    .map((folder) => relative(installed, folder));
  expect(below).toEqual(['proto/third_party', 'proto']);
});
