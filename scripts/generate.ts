// Generates generated/ from proto/ with buf and ts-proto, both from node_modules and without the network. Their
// settings are in buf.gen.yaml. Beside the code, generated/descriptors.binpb describes everything that the server
// serves (a google.protobuf.FileDescriptorSet), for reflection.
//
//   node scripts/generate.ts            rewrites generated/
//   node scripts/generate.ts --check    writes nothing, and fails if generated/ is out of date
//
// scripts/check-breaking.ts looks for breaking changes of the contract.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
const BIN = join(ROOT, 'node_modules/.bin');
const GENERATED = join(ROOT, 'generated');
const DESCRIPTORS = 'descriptors.binpb';
/** What the server serves: the contract with the files of others, and the services of gRPC itself. */
const SERVED = ['.', 'src/transport/proto'];

/** The files below a folder, as sorted paths relative to it; none if the folder doesn't exist. */
function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** Returns what it prints. */
function buf(...args: readonly string[]): Buffer {
  // buf finds the plugin through PATH, and the plugin runs on the first node there.
  const env = { ...process.env, PATH: `${BIN}${delimiter}${process.env.PATH ?? ''}` };
  const run = spawnSync(join(BIN, 'buf'), args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] });
  if (run.error !== undefined) throw run.error;
  if (run.status !== 0) throw new Error(`buf ${args[0]} ended with ${run.status ?? run.signal}`);
  return run.stdout;
}

/** Generates everything into a new folder inside `scratch`. */
function generateInto(scratch: string): string {
  buf('generate', '--output', scratch);
  const folder = join(scratch, 'generated');
  const options = ['--as-file-descriptor-set', '--exclude-source-info', '-o', '-#format=binpb'];
  // Serialized messages one after the other are one message, which has the files of all. No file is in two of these.
  writeFileSync(
    join(folder, DESCRIPTORS),
    Buffer.concat(SERVED.map((input) => buf('build', input, ...options))),
  );
  return folder;
}

/** The paths that exist on one side only, or whose contents differ. */
function differences(expected: string, actual: string): string[] {
  const paths = new Set([...filesBelow(expected), ...filesBelow(actual)]);
  return [...paths].sort().filter((path) => {
    const [left, right] = [join(expected, path), join(actual, path)];
    return !existsSync(left) || !existsSync(right) || !readFileSync(left).equals(readFileSync(right));
  });
}

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const scratch = mkdtempSync(join(tmpdir(), 'leasehold-generate-'));
try {
  const fresh = generateInto(scratch);
  if (values.check) {
    const stale = differences(fresh, GENERATED);
    for (const path of stale) console.error(`generated/${path} is out of date: run \`npm run generate\``);
    if (stale.length > 0) process.exitCode = 1;
  } else {
    rmSync(GENERATED, { recursive: true, force: true });
    cpSync(fresh, GENERATED, { recursive: true });
    console.log(`wrote ${filesBelow(GENERATED).length} files to generated/`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
