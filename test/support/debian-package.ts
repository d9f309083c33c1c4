// Fetches a program of Debian (or Ubuntu) without root: it downloads the packages and unpacks them in the project's
// cache. Owns that cache. It installs nothing in the system, runs no maintainer script and starts no service.
import { access, mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { runCommand } from './redis/run-program.ts';

/** Where the project keeps what it has downloaded. */
export const CACHE = resolve(import.meta.dirname, '../../.cache');
const DOWNLOAD_TIMEOUT_MS = 180_000;
// A program needs libraries, which need a few others; no chain of them is longer.
const MAX_DEPENDENCY_ROUNDS = 5;

export interface DebianProgram {
  /** As people know it: `Redis`. */
  readonly title: string;
  readonly packageName: string;
  /** Its folder in the cache. */
  readonly cacheName: string;
  /** In the unpacked package. */
  readonly path: string;
  /** If given, `path` is a link to this. */
  readonly linkTo?: string;
}

export interface Executable {
  readonly executable: string;
  readonly env: NodeJS.ProcessEnv;
}

type Check<T> = (candidate: Executable) => Promise<T>;

/** The program in the cache, downloaded if it isn't there yet. `check` must accept it. */
export async function unpacked<T>(program: DebianProgram, check: Check<T>): Promise<T> {
  const cache = join(CACHE, program.cacheName);
  const final = finalFolder(program);
  const found = await alreadyUnpacked(program, check);
  if (found !== undefined) return found;
  await runCommand('apt-get', ['--version'], { timeoutMs: 10_000 });
  const { title, cacheName } = program;
  console.log(`${title}: downloading Debian’s package once, into .cache/${cacheName}`);
  await mkdir(cache, { recursive: true });
  // Each process unpacks in a folder of its own and renames it when it works, so that no process sees half of it.
  const scratch = await mkdtemp(join(cache, 'unpacking-'));
  try {
    await unpack(scratch, program, check);
    await takePlace(scratch, final, program, check);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return check(executableIn(final, program));
}

/**
 * The program in the cache; undefined if it is missing, or comes from another system: a work folder may be shared or
 * copied.
 */
export async function alreadyUnpacked<T>(program: DebianProgram, check: Check<T>): Promise<T | undefined> {
  const candidate = executableIn(finalFolder(program), program);
  try {
    await access(candidate.executable);
    return await check(candidate);
  } catch {
    return undefined;
  }
}

function finalFolder({ cacheName }: DebianProgram): string {
  return join(CACHE, cacheName, `package-${process.arch}`);
}

function executableIn(root: string, { path }: DebianProgram): Executable {
  const triplets = ['x86_64-linux-gnu', 'aarch64-linux-gnu', 'arm-linux-gnueabihf', 'riscv64-linux-gnu'];
  const libraries = triplets.flatMap((triplet) => [
    join(root, 'usr/lib', triplet),
    join(root, 'lib', triplet),
  ]);
  const searched = [...libraries, process.env.LD_LIBRARY_PATH].filter((path) => path).join(':');
  return { executable: join(root, path), env: { ...process.env, LD_LIBRARY_PATH: searched } };
}

async function unpack<T>(root: string, program: DebianProgram, check: Check<T>): Promise<void> {
  const { packageName, path, linkTo } = program;
  const apt = await workingApt(root, packageName);
  await apt.fetch(packageName);
  if (linkTo !== undefined) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await symlink(linkTo, join(root, path));
  }
  let wanted = await apt.missingDependencies(packageName);
  for (let round = 0; ; round += 1) {
    try {
      await check(executableIn(root, program));
      break;
    } catch (error) {
      if (round === MAX_DEPENDENCY_ROUNDS || wanted.length === 0) throw error;
    }
    for (const name of wanted) await apt.fetch(name);
    wanted = (await Promise.all(wanted.map((name) => apt.missingDependencies(name)))).flat();
  }
  await rm(apt.stateFolder, { recursive: true, force: true });
}

interface Apt {
  readonly stateFolder: string;
  fetch(name: string): Promise<void>;
  missingDependencies(name: string): Promise<string[]>;
}

/**
 * Runs apt with the system's package lists, or with lists of our own where these are missing (a fresh image) or too
 * old.
 */
async function workingApt(root: string, packageName: string): Promise<Apt> {
  const stateFolder = join(root, 'apt');
  const system = aptWith([], root, stateFolder);
  try {
    await system.fetch(packageName);
    return system;
  } catch {
    const folders = [join(stateFolder, 'lists/partial'), join(stateFolder, 'cache/archives/partial')];
    for (const folder of folders) await mkdir(folder, { recursive: true });
    // Dir::State::status still points at the system's file, so that apt knows what is installed.
    const options = [
      `Dir::State::lists=${join(stateFolder, 'lists')}`,
      `Dir::Cache=${join(stateFolder, 'cache')}`,
    ];
    const flags = options.flatMap((option) => ['-o', option]);
    await runCommand('apt-get', [...flags, 'update'], { timeoutMs: DOWNLOAD_TIMEOUT_MS });
    return aptWith(flags, root, stateFolder);
  }
}

function aptWith(flags: readonly string[], root: string, stateFolder: string): Apt {
  return {
    stateFolder,
    async fetch(name) {
      const folder = join(stateFolder, `deb-${name}`);
      await mkdir(folder, { recursive: true });
      await runCommand('apt-get', [...flags, 'download', name], {
        timeoutMs: DOWNLOAD_TIMEOUT_MS,
        cwd: folder,
      });
      for (const file of await readdir(folder)) {
        if (file.endsWith('.deb'))
          await runCommand('dpkg', ['-x', join(folder, file), root], { timeoutMs: 60_000 });
      }
      await rm(folder, { recursive: true, force: true });
    },
    async missingDependencies(name) {
      const shown = await runCommand('apt-cache', [...flags, 'show', '--no-all-versions', name], {
        timeoutMs: 60_000,
      });
      const field = /^Depends: (.*)$/m.exec(shown)?.[1] ?? '';
      // Of alternatives ("a | b") the first is the distribution's own choice; a version or architecture is cut off.
      const names = field.split(',').map((entry) => entry.trim().split(/[\s:|(]/)[0] ?? '');
      const libraries = names.filter((dependency) => /^(lib|lua)/.test(dependency));
      const missing = await Promise.all(libraries.map(async (library) => !(await isInstalled(library))));
      return libraries.filter((_, index) => missing[index]);
    },
  };
}

async function isInstalled(name: string): Promise<boolean> {
  try {
    const shown = await runCommand('dpkg', ['--status', name], { timeoutMs: 10_000 });
    return /^Status: .* installed$/m.test(shown);
  } catch {
    return false;
  }
}

async function takePlace<T>(
  scratch: string,
  final: string,
  program: DebianProgram,
  check: Check<T>,
): Promise<void> {
  try {
    await rename(scratch, final);
    return;
  } catch {
    // Something is there already: what another process put there a moment ago, or a copy that didn't work.
  }
  const works = await check(executableIn(final, program)).then(
    () => true,
    () => false,
  );
  if (works) return;
  const aside = await mkdtemp(join(dirname(final), 'broken-'));
  await rename(final, join(aside, 'package'));
  await rename(scratch, final);
  await rm(aside, { recursive: true, force: true });
}
