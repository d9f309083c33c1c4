// Fetches Debian's (or Ubuntu's) redis-server without root: it downloads the packages and unpacks them in the project's
// cache. Owns that cache. It installs nothing in the system, runs no maintainer script and starts no service.
import { access, mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Executable } from './find-redis.ts';
import { runCommand } from './run-program.ts';

const CACHE = resolve(import.meta.dirname, '../../../.cache/redis');
const DOWNLOAD_TIMEOUT_MS = 180_000;
// redis-tools needs libraries, which need a few others; no chain of them is longer.
const MAX_DEPENDENCY_ROUNDS = 5;

type Check<T> = (candidate: Executable) => Promise<T>;

/** The redis-server in the cache, downloaded if it isn't there yet. `check` must accept it. */
export async function unpackedRedis<T>(check: Check<T>): Promise<T> {
  const final = join(CACHE, `package-${process.arch}`);
  try {
    await access(executableIn(final).executable);
    return await check(executableIn(final));
  } catch {
    // The program is missing, or comes from another system: a work folder may be shared or copied.
  }
  await runCommand('apt-get', ['--version'], { timeoutMs: 10_000 });
  console.log('Redis for the tests: downloading Debian’s package once, into .cache/redis');
  await mkdir(CACHE, { recursive: true });
  // Each process unpacks in a folder of its own and renames it when it works, so that no process sees half of it.
  const scratch = await mkdtemp(join(CACHE, 'unpacking-'));
  try {
    await unpack(scratch, check);
    await takePlace(scratch, final, check);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return check(executableIn(final));
}

function executableIn(root: string): Executable {
  // Bin, not usr/bin: whether Redis acts as a server is decided by the name it is called by (see unpack).
  const triplets = ['x86_64-linux-gnu', 'aarch64-linux-gnu', 'arm-linux-gnueabihf', 'riscv64-linux-gnu'];
  const libraries = triplets.flatMap((triplet) => [
    join(root, 'usr/lib', triplet),
    join(root, 'lib', triplet),
  ]);
  const searched = [...libraries, process.env.LD_LIBRARY_PATH].filter((path) => path).join(':');
  return { executable: join(root, 'bin/redis-server'), env: { ...process.env, LD_LIBRARY_PATH: searched } };
}

async function unpack<T>(root: string, check: Check<T>): Promise<void> {
  const apt = await workingApt(root);
  await apt.fetch('redis-tools');
  // redis-server, redis-sentinel and redis-check-rdb are one program, and the server's package only has the link.
  await mkdir(join(root, 'bin'));
  await symlink('../usr/bin/redis-check-rdb', join(root, 'bin/redis-server'));
  let wanted = await apt.missingDependencies('redis-tools');
  for (let round = 0; ; round += 1) {
    try {
      await check(executableIn(root));
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
async function workingApt(root: string): Promise<Apt> {
  const stateFolder = join(root, 'apt');
  const system = aptWith([], root, stateFolder);
  try {
    await system.fetch('redis-tools');
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

async function takePlace<T>(scratch: string, final: string, check: Check<T>): Promise<void> {
  try {
    await rename(scratch, final);
    return;
  } catch {
    // Something is there already: what another process put there a moment ago, or a copy that didn't work.
  }
  const works = await check(executableIn(final)).then(
    () => true,
    () => false,
  );
  if (works) return;
  const aside = await mkdtemp(join(CACHE, 'broken-'));
  await rename(final, join(aside, 'package'));
  await rename(scratch, final);
  await rm(aside, { recursive: true, force: true });
}
