// Generates the stubs that the clients in other languages commit, from proto/ and with local plugins only: grpcio-tools
// in a virtual environment for Python, and buf with protoc-gen-go and protoc-gen-go-grpc for Go. It fetches these tools
// from their registries, at the versions named here, into .cache. Java commits none: Maven generates them in its build.
//
//   node scripts/generate-clients.ts            rewrites the stubs
//   node scripts/generate-clients.ts --check    writes nothing, and fails if the stubs are out of date
//
// It leaves out a language whose toolchain isn't installed, and says so.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
const CACHE = join(ROOT, '.cache');
const BIN = join(ROOT, 'node_modules/.bin');
const GRPCIO_TOOLS = 'grpcio-tools==1.76.0';
const GO_PLUGINS = [
  'google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11',
  'google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.1',
];

const PROTOS = readdirSync(join(ROOT, 'proto/leasehold/v1'))
  .sort()
  .map((name) => `leasehold/v1/${name}`);

interface Stubs {
  readonly language: string;
  /** Where the stubs are committed; everything in it is generated. */
  readonly folder: string;
  readonly needs: string;
  generateInto(folder: string): void;
}

const STUBS: readonly Stubs[] = [
  {
    language: 'Python',
    folder: join(ROOT, 'clients/python/src/leasehold/v1'),
    needs: 'python3',
    generateInto(folder) {
      const environment = join(CACHE, 'generate-python');
      const python = join(environment, 'bin/python');
      if (!existsSync(python)) run('python3', ['-m', 'venv', environment]);
      run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', GRPCIO_TOOLS]);
      const out = mkdtempSync(join(tmpdir(), 'leasehold-python-'));
      const outputs = ['python_out', 'pyi_out', 'grpc_python_out'].map((option) => `--${option}=${out}`);
      const roots = [`-I${join(ROOT, 'proto/third_party')}`, `-I${join(ROOT, 'proto')}`];
      run(python, ['-m', 'grpc_tools.protoc', ...roots, ...outputs, ...PROTOS]);
      cpSync(join(out, 'leasehold/v1'), folder, { recursive: true });
      rmSync(out, { recursive: true });
      for (const name of filesBelow(folder).filter((file) => file.endsWith('_pb2_grpc.py'))) {
        // For a .proto file without a service, it contains only imports.
        if (!readFileSync(join(folder, name), 'utf8').includes('Stub')) rmSync(join(folder, name));
      }
      const says = '"""The stubs of the contract, by `npm run generate:clients`."""\n';
      writeFileSync(join(folder, '__init__.py'), says);
    },
  },
  {
    language: 'Go',
    folder: join(ROOT, 'clients/go/leaseholdpb'),
    needs: 'go',
    generateInto(folder) {
      const bin = join(CACHE, 'generate-go');
      for (const plugin of GO_PLUGINS) run('go', ['install', plugin], { GOBIN: bin });
      // The .proto files name this package as theirs (go_package).
      const plugin = (name: string) => ({
        local: name,
        out: folder,
        opt: ['module=leasehold.internal/leasehold/leaseholdpb'],
      });
      const template = {
        version: 'v2',
        inputs: [{ directory: ROOT, paths: [join(ROOT, 'proto/leasehold')] }],
        plugins: [plugin('protoc-gen-go'), plugin('protoc-gen-go-grpc')],
      };
      run(join(BIN, 'buf'), ['generate', '--template', JSON.stringify(template)], {
        PATH: [bin, BIN, process.env.PATH ?? ''].join(delimiter),
      });
    },
  },
];

function run(command: string, args: readonly string[], environment: Record<string, string> = {}): void {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status ?? signal}`);
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.pyc'))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

function differences(expected: string, actual: string): string[] {
  const paths = new Set([...filesBelow(expected), ...filesBelow(actual)]);
  return [...paths].filter((path) => {
    const [left, right] = [join(expected, path), join(actual, path)];
    return !existsSync(left) || !existsSync(right) || !readFileSync(left).equals(readFileSync(right));
  });
}

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
for (const { language, folder, needs, generateInto } of STUBS) {
  if (spawnSync(needs, [needs === 'go' ? 'version' : '--version']).status !== 0) {
    console.log(`left out ${language}: ${needs} does not run here`);
    continue;
  }
  const scratch = mkdtempSync(join(tmpdir(), 'leasehold-generate-'));
  try {
    generateInto(scratch);
    const name = relative(ROOT, folder);
    if (values.check) {
      const stale = differences(scratch, folder);
      for (const path of stale)
        console.error(`${name}/${path} is out of date: run \`npm run generate:clients\``);
      if (stale.length > 0) process.exitCode = 1;
      continue;
    }
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    cpSync(scratch, folder, { recursive: true });
    console.log(`${language}: wrote ${filesBelow(folder).length} files to ${name}/`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
