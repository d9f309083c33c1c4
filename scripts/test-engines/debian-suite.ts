// Redis and Valkey from the packages of one Debian suite, on a machine of any other: downloaded without root with lists
// of our own, unpacked in .cache/engines, and started by the suite's own dynamic linker, because the programs need its
// C library. Owns that folder; it installs nothing in the system.
import { access, chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../../test/support/redis/run-program.ts';
import { cachedFolder } from './cached-folder.ts';

const SUITE = 'trixie';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const ARCHIVES = [`debian ${SUITE}`, `debian-security ${SUITE}-security`];
// These carry the servers; the packages that are called after them only start services.
const PACKAGES = ['redis-tools', 'valkey-tools'];
// The server and the checker of its files are one program, which looks at the name that it is called by.
const SERVERS = [
  { name: 'redis-server', program: 'redis-check-rdb' },
  { name: 'valkey-server', program: 'valkey-check-rdb' },
];
const DOWNLOAD_TIMEOUT_MS = 120_000;

export const FROM = `Debian ${SUITE}`;

/** The programs, which are in the cache after the first time. Throws where the packages can't be had. */
export async function debianServers(cache: string): Promise<readonly string[]> {
  const folder = join(cache, `${SUITE}-${process.arch}`);
  await cachedFolder(folder, async (scratch) => {
    await access(KEYRING).catch(() => {
      throw new Error(`this is no Debian: there is no ${KEYRING}`);
    });
    await unpack(scratch);
    for (const { name, program } of SERVERS) await writeLauncher(scratch, folder, name, program);
  });
  return SERVERS.map(({ name }) => join(folder, name));
}

async function unpack(folder: string): Promise<void> {
  const state = join(folder, 'apt');
  const archives = join(state, 'cache/archives');
  for (const path of [join(state, 'lists/partial'), join(archives, 'partial')]) {
    await mkdir(path, { recursive: true });
  }
  const sources = ARCHIVES.map((archive) => {
    const [path, suite] = archive.split(' ');
    return `deb [signed-by=${KEYRING}] http://deb.debian.org/${path} ${suite} main\n`;
  });
  await writeFile(join(state, 'sources.list'), sources.join(''));
  const options = [
    `Dir::Etc::sourcelist=${join(state, 'sources.list')}`,
    'Dir::Etc::sourceparts=/nonexistent',
    `Dir::State::lists=${join(state, 'lists')}`,
    // Nothing counts as installed, so apt names the C library too, and not only what this system lacks.
    'Dir::State::status=/dev/null',
    `Dir::Cache=${join(state, 'cache')}`,
    'Acquire::Languages=none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
    'Debug::NoLocking=true',
  ];
  const apt = (...args: string[]): Promise<string> =>
    runCommand('apt-get', [...options.flatMap((option) => ['-o', option]), '--yes', ...args], {
      timeoutMs: DOWNLOAD_TIMEOUT_MS,
    });
  await apt('update');
  await apt('install', '--download-only', '--no-install-recommends', ...PACKAGES);
  for (const file of await readdir(archives)) {
    if (!file.endsWith('.deb')) continue;
    await runCommand('dpkg', ['-x', join(archives, file), join(folder, 'root')], { timeoutMs: 60_000 });
  }
  await rm(state, { recursive: true, force: true });
}

/** A program that starts one of `scratch` when it is at `folder`. */
async function writeLauncher(scratch: string, folder: string, name: string, program: string): Promise<void> {
  const libraries = join('root/usr/lib', await onlyEntry(join(scratch, 'root/usr/lib'), /-linux-gnu/));
  const linker = join(libraries, await onlyEntry(join(scratch, libraries), /^ld-linux/));
  // The linker is told the folder: with LD_LIBRARY_PATH, this system's shell would get that C library too.
  const script =
    '#!/bin/sh\n' +
    `exec '${join(folder, linker)}' --library-path '${join(folder, libraries)}' --argv0 ${name} ` +
    `'${join(folder, 'root/usr/bin', program)}' "$@"\n`;
  await writeFile(join(scratch, name), script);
  await chmod(join(scratch, name), 0o755);
}

async function onlyEntry(folder: string, pattern: RegExp): Promise<string> {
  const found = (await readdir(folder)).filter((entry) => pattern.test(entry));
  if (found[0] === undefined) throw new Error(`nothing like ${pattern} in ${folder}`);
  return found[0];
}
