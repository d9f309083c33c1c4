// The etcd that `npm run bench:peers` fetches: Debian's package, unpacked in the project's cache. Owns which one it is
// and whether it runs here.
import {
  alreadyUnpacked,
  type DebianProgram,
  type Executable,
  unpacked,
} from '../../test/support/debian-package.ts';
import { runCommand } from '../../test/support/redis/run-program.ts';

const PACKAGE: DebianProgram = {
  title: 'etcd',
  packageName: 'etcd-server',
  cacheName: 'etcd',
  path: 'usr/bin/etcd',
};

export interface CachedEtcd extends Executable {
  readonly version: string;
}

/** undefined if it was not fetched, or doesn't run on this machine. */
export function cachedEtcd(): Promise<CachedEtcd | undefined> {
  return alreadyUnpacked(PACKAGE, checked);
}

/** Fetches it if it isn't there yet. */
export function fetchEtcd(): Promise<CachedEtcd> {
  return unpacked(PACKAGE, checked);
}

async function checked(candidate: Executable): Promise<CachedEtcd> {
  const { executable, env } = candidate;
  const said = await runCommand(executable, ['--version'], { timeoutMs: 10_000, env });
  const version = /^etcd Version: (\S+)/m.exec(said)?.[1];
  if (version === undefined) throw new Error(`an unknown etcd: ${said.trim()}`);
  return { ...candidate, version };
}
