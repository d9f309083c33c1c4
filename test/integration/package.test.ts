// The package as it is installed: packed by npm and unpacked into a project of its own, whose programs are those of
// docs/sdk.md. They are type-checked against the packed declarations; the quickstart and the test of one's own run.
import { type ExecFileException, execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { Instance } from '../../src/server/instance.ts';
import { startInstance } from '../support/instance.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');

let folder: string;
let project: string;
let installed: string;
let instance: Instance;

beforeAll(async () => {
  instance = await startInstance();
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  // Inside this project, so that the dependencies are found without a network; nothing else of it is.
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

/** A sentence of what went wrong, with what the program printed. */
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

test('the quickstart has some 20 lines, and runs', { timeout: 60_000 }, async () => {
  const text = (await programs()).get('Quickstart') ?? '';
  expect(text.trim().split('\n').length).toBeLessThanOrEqual(22);
  const program = join(project, 'quickstart.ts');
  await writeFile(program, text.replace('127.0.0.1:50051', formatHostPort(instance.address)));
  const { stdout } = await run(process.execPath, [program]).catch(output);
  expect(stdout).toMatch(
    /^held with fencing token \d+, \d+ s at least\nand again, with the larger token \d+\n$/,
  );
});

test('so does the test of one’s own', { timeout: 60_000 }, async () => {
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
  folders: ['generated/google', 'generated/leasehold', 'src/client', 'src/client/core', 'src/domain'],
  packages: ['@bufbuild/protobuf/wire', '@grpc/grpc-js', '@opentelemetry/api'],
};

test('the client has no code of the server in it', async () => {
  expect(await loadedBy('src/client/client.js', 'src/client/proto.js')).toEqual(OF_THE_CLIENT);
});

test('the program loads neither client nor server until a command needs it, and never one for the other', async () => {
  expect(await loadedBy('src/main.js')).toEqual({
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

test('npx leasehold: the program of the package runs, and holds a lock', { timeout: 60_000 }, async () => {
  const { bin } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as {
    readonly bin: Readonly<Record<string, string>>; // ours
  };
  // As npm makes it.
  await mkdir(join(project, 'node_modules/.bin'), { recursive: true });
  await symlink(join(installed, bin.leasehold ?? ''), join(project, 'node_modules/.bin/leasehold'));
  const command = ['run', 'demo', '--', 'sh', '-c', 'echo token $LEASEHOLD_FENCING_TOKEN'];
  const { stdout } = await run('npx', ['--offline', '--no', 'leasehold', ...command], {
    cwd: project,
    env: {
      PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`,
      LEASEHOLD_CLIENT_SERVER: formatHostPort(instance.address),
    },
  }).catch(output);
  expect(stdout).toMatch(/^token \d+\n$/);
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

test('the .proto files are in it, with everything that they import', async () => {
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
