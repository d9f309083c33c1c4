// The third-party programs and packages that the benchmarks use if this machine has them, and how to install them. Owns
// where to look for them. If one is missing, its figures are left out and a line says so.
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { findRedis } from '../../test/support/redis/find-redis.ts';
import { cachedEtcd } from './etcd-package.ts';
import { REDLOCK, redlockEntry } from './redlock-package.ts';

const BY_ONE_COMMAND = 'npm run bench:peers';

const HOW_TO_HAVE = {
  h2load: 'apt-get install nghttp2-client',
  ghz: 'go install github.com/bojand/ghz/cmd/ghz@latest',
  'redis-benchmark': 'apt-get install redis-tools',
  etcd: BY_ONE_COMMAND,
  [REDLOCK]: BY_ONE_COMMAND,
} as const;

export type Installable = keyof typeof HOW_TO_HAVE;

export interface Program {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Returns undefined, and prints a line, if this machine doesn't have it. */
export async function program(name: Exclude<Installable, typeof REDLOCK>): Promise<Program | undefined> {
  const redis = await findRedis();
  // The package in the cache also contains Redis's other programs and the libraries that they need.
  const unpacked = redis.mode === 'package' ? [join(dirname(redis.executable), '../usr/bin')] : [];
  const onPath = (process.env.PATH ?? '').split(delimiter);
  const ofGo = join(process.env.GOPATH ?? join(homedir(), 'go'), 'bin');
  const path = [...unpacked, ...onPath, ofGo].map((folder) => join(folder, name)).find(isExecutable);
  if (path === undefined) {
    const cached = name === 'etcd' ? await cachedEtcd() : undefined;
    if (cached) return { path: cached.executable, env: cached.env };
    sayAbsent(name);
    return undefined;
  }
  const isUnpacked = redis.mode === 'package' && unpacked.includes(dirname(path));
  return { path, env: isUnpacked ? redis.env : process.env };
}

export function hasRedlock(): boolean {
  const has = redlockEntry() !== undefined;
  if (!has) sayAbsent(REDLOCK);
  return has;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function sayAbsent(name: Installable): void {
  console.log(`  no figures for ${name}, which isn't installed here: ${HOW_TO_HAVE[name]}`);
}
