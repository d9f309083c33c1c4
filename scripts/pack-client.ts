// `npm run pack:client`: packs `leasehold-client`, the client without the server. It is the same code as
// `leasehold/client` and `leasehold/proto`, cut out of the same build, with only the dependencies that this code
// imports. Its package.json is made here from the one of this repository, so that the two can't differ.
//
//   node scripts/pack-client.ts               writes leasehold-client-<version>.tgz into the working directory
//   node scripts/pack-client.ts --out <dir>   writes it into another one
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { moduleClosure } from './build/module-closure.ts';

const ROOT = join(import.meta.dirname, '..');
const DIST = join(ROOT, 'dist');
const SCRATCH = join(ROOT, '.cache');
/** What it exports, by the names that the whole package has for it. */
const EXPORTS = { './client': '.', './proto': './proto', './package.json': './package.json' } as const;
const ENTRIES = ['client', 'proto'].map((name) => `src/client/${name}.js`);
const SHIPPED = ['proto', 'buf.yaml', 'CHANGELOG.md', 'LICENSE'];

interface Manifest {
  readonly version: string;
  readonly license: string;
  readonly engines: unknown;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
  return stdout;
}

function manifest(packages: ReadonlySet<string>): object {
  const whole = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest; // ours
  const versions = [...packages].sort().map((name) => {
    const version = whole.dependencies[name];
    if (version === undefined) throw new Error(`the client imports ${name}, which is no dependency`);
    return [name, version];
  });
  return {
    name: 'leasehold-client',
    version: whole.version,
    description: 'The client of Leasehold: distributed locks and long-running operations over gRPC',
    license: whole.license,
    type: 'module',
    engines: whole.engines,
    exports: Object.fromEntries(Object.entries(EXPORTS).map(([name, own]) => [own, whole.exports[name]])),
    dependencies: Object.fromEntries(versions),
  };
}

const { values } = parseArgs({ options: { out: { type: 'string', default: '.' } } });
run(process.execPath, [join(ROOT, 'scripts/build.ts')], ROOT);
const closure = moduleClosure(DIST, ENTRIES);
mkdirSync(SCRATCH, { recursive: true });
const scratch = mkdtempSync(join(SCRATCH, 'client-package-'));
try {
  const put = (from: string, to: string): void => {
    mkdirSync(dirname(join(scratch, to)), { recursive: true });
    cpSync(join(ROOT, from), join(scratch, to), { recursive: true });
  };
  for (const file of closure.files) {
    put(`dist/${file}`, `dist/${file}`);
    put(`dist/cjs/${file}`, `dist/cjs/${file}`);
  }
  put('dist/cjs/package.json', 'dist/cjs/package.json');
  for (const path of SHIPPED) put(path, path);
  put('clients/typescript/README.md', 'README.md');
  writeFileSync(join(scratch, 'package.json'), `${JSON.stringify(manifest(closure.packages), null, 2)}\n`);
  const [packed] = run('npm', ['pack', '--silent', '--pack-destination', resolve(values.out)], scratch)
    .trim()
    .split('\n');
  console.log(join(values.out, packed ?? ''));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
