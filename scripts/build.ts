// Builds dist/ from src/ and generated/: tsc compiles them, and the Lua scripts and the descriptors go where the
// modules that read them look. What users import is there a second time as CommonJS (scripts/build/commonjs.ts).
// Files that are shipped as they are (proto/) are not copied.
//
//   node scripts/build.ts               writes dist/
//   node scripts/build.ts --out <dir>   writes another folder of the same file system
//
// The build makes everything in a scratch folder first and then renames each file into place. So a build that fails
// changes nothing, and neither a server that is just starting nor a second build at the same time finds a file missing
// or half written. At the end, it removes the files of earlier builds that this one no longer makes.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { COMMONJS, makeCommonJs } from './build/commonjs.ts';

const ROOT = join(import.meta.dirname, '..');
const SCRATCH = join(ROOT, '.cache');
const LUA = 'src/store/redis/lua';
const DESCRIPTORS = 'generated/descriptors.binpb';
/** The modules in the exports of package.json. */
const ENTRIES = ['src/client/client.js', 'src/client/proto.js', 'src/testing/test-server.js'];
const MADE_BY_A_BUILD = new RegExp(`\\.(js|js\\.map|d\\.ts|lua|binpb)$|^${COMMONJS}/package\\.json$`);

/** The files below a folder, as paths relative to it. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

/** Makes everything in an empty folder. Returns false if the compiler has complained. */
function make(folder: string): boolean {
  const tsc = spawnSync(
    join(ROOT, 'node_modules/.bin/tsc'),
    ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', folder],
    { cwd: ROOT, stdio: 'inherit' },
  );
  if (tsc.error !== undefined) throw tsc.error;
  if (tsc.status !== 0) return false;
  cpSync(join(ROOT, LUA), join(folder, LUA), { recursive: true });
  cpSync(join(ROOT, DESCRIPTORS), join(folder, DESCRIPTORS));
  makeCommonJs(folder, ENTRIES);
  for (const path of filesBelow(folder)) {
    const file = join(folder, path);
    if (readFileSync(file).subarray(0, 2).toString() === '#!' && path.endsWith('.js')) chmodSync(file, 0o755);
  }
  return true;
}

/** Moves the files into `out` and removes all others there. Returns how many were moved. */
function put(folder: string, out: string): number {
  const made = filesBelow(folder);
  for (const path of made) {
    mkdirSync(dirname(join(out, path)), { recursive: true });
    renameSync(join(folder, path), join(out, path));
  }
  const kept = new Set(made);
  for (const path of filesBelow(out)) {
    if (!kept.has(path)) rmSync(join(out, path), { force: true });
  }
  return made.length;
}

const { values } = parseArgs({ options: { out: { type: 'string', default: join(ROOT, 'dist') } } });
const startMs = performance.now();
const out = resolve(values.out);
const foreign = existsSync(out) && filesBelow(out).find((path) => !MADE_BY_A_BUILD.test(path));
// A build removes other files from its folder, and a mistyped --out must not empty somebody's home.
if (foreign)
  throw new Error(
    `--out: ${out} is not an earlier build, because it contains ${foreign}. Give an empty folder.`,
  );
mkdirSync(SCRATCH, { recursive: true });
const scratch = mkdtempSync(join(SCRATCH, 'build-'));
try {
  if (make(scratch)) {
    const count = put(scratch, out);
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
    console.log(`built ${count} files into ${relative(process.cwd(), out) || '.'} in ${seconds} s`);
  } else {
    process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
