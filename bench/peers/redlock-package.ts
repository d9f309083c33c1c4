// The node-redlock that `npm run bench:peers` installs: a pinned version, in a folder of the cache that is a package of
// its own. It is no dependency of the project: its last release is a beta of 2022, and its last stable one is even
// older. Owns the version and where it lies.
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CACHE } from '../../test/support/debian-package.ts';
import { runCommand } from '../../test/support/redis/run-program.ts';

export const REDLOCK = 'redlock' as const;
export const REDLOCK_VERSION = '5.0.0-beta.2';

const FOLDER = join(CACHE, `redlock-${REDLOCK_VERSION}`);
/** It resolves the package from its own folder, as a program would that has it as a dependency. */
const ENTRY = join(FOLDER, 'entry.mjs');
const ENTRY_TEXT = `export { default } from '${REDLOCK}';\n`;
const INSTALL_TIMEOUT_MS = 120_000;

/** What to import; undefined if it was not installed. */
export function redlockEntry(): string | undefined {
  return existsSync(ENTRY) ? pathToFileURL(ENTRY).href : undefined;
}

/** Installs it if it isn't there yet. */
export async function installRedlock(): Promise<void> {
  if (existsSync(ENTRY)) return;
  await mkdir(FOLDER, { recursive: true });
  const about = { name: 'bench-redlock', private: true, dependencies: { [REDLOCK]: REDLOCK_VERSION } };
  await writeFile(join(FOLDER, 'package.json'), `${JSON.stringify(about, null, 2)}\n`);
  const quietly = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await runCommand('npm', ['install', ...quietly], { timeoutMs: INSTALL_TIMEOUT_MS, cwd: FOLDER });
  // The last file: where it is, the installation has ended well.
  await writeFile(ENTRY, ENTRY_TEXT);
}
