// Decides which Redis the tests, the demo and the benchmarks run on: a redis-server on the PATH, a container engine, or
// Debian's package unpacked in the project's cache. Owns that choice and the oldest version that we accept;
// native-instance.ts and docker-instance.ts start nodes on it.
import { type DebianProgram, type Executable, unpacked } from '../debian-package.ts';
import { runCommand } from './run-program.ts';

export interface NativeRuntime {
  readonly mode: 'path' | 'package';
  readonly version: string;
  readonly executable: string;
  readonly env: NodeJS.ProcessEnv;
}

export interface DockerRuntime {
  readonly mode: 'docker';
  readonly version: string;
  readonly image: string;
}

export type RedisRuntime = NativeRuntime | DockerRuntime;

type Mode = RedisRuntime['mode'];

const MODES: readonly Mode[] = ['path', 'docker', 'package'];
const OLDEST_MAJOR = 7;
const DEFAULT_IMAGE = 'redis:8.2';

// redis-server, redis-sentinel and redis-check-rdb are one program, which decides by the name that it is called by, and
// the server's package only has the link.
const DEBIANS: DebianProgram = {
  title: 'Redis',
  packageName: 'redis-tools',
  cacheName: 'redis',
  path: 'bin/redis-server',
  linkTo: '../usr/bin/redis-check-rdb',
};

let found: Promise<RedisRuntime> | undefined;

/**
 * The Redis of this machine, looked for once per process. `LEASEHOLD_TEST_REDIS` (path, docker or package) names the
 * only way to try, `LEASEHOLD_TEST_REDIS_IMAGE` another image. Throws one line that says what to install.
 */
export function findRedis(): Promise<RedisRuntime> {
  found ??= look();
  return found;
}

export function describeRuntime(runtime: RedisRuntime): string {
  switch (runtime.mode) {
    case 'path':
      return `redis-server ${runtime.version} from the PATH`;
    case 'docker':
      return `Redis ${runtime.version} in containers (${runtime.image})`;
    case 'package':
      return `redis-server ${runtime.version} from Debian's package, unpacked in .cache/redis`;
  }
}

async function look(): Promise<RedisRuntime> {
  const ways: Record<Mode, () => Promise<RedisRuntime>> = {
    path: async () => ({
      mode: 'path',
      ...(await checked({ executable: 'redis-server', env: process.env })),
    }),
    docker: fromDocker,
    package: async () => ({ mode: 'package', ...(await unpacked(DEBIANS, checked)) }),
  };
  const failures: string[] = [];
  for (const mode of wantedModes()) {
    try {
      return await ways[mode]();
    } catch (error) {
      failures.push(
        `${mode}: ${error instanceof Error ? error.message.replaceAll('\n', ' ') : String(error)}`,
      );
    }
  }
  throw new Error(
    `No Redis for the tests: install redis-server ${OLDEST_MAJOR}.0 or newer on the PATH, or start a Docker engine ` +
      `(tried ${failures.join('; ')})`,
  );
}

function wantedModes(): readonly Mode[] {
  const forced = process.env.LEASEHOLD_TEST_REDIS;
  if (forced === undefined || forced === '') return MODES;
  const mode = MODES.find((known) => known === forced);
  if (mode === undefined)
    throw new Error(`LEASEHOLD_TEST_REDIS is "${forced}"; it may be ${MODES.join(', ')}`);
  return [mode];
}

/** Runs it once: it must start on this machine with all its libraries, and be new enough. */
async function checked<T extends Executable>(candidate: T): Promise<T & { readonly version: string }> {
  const { executable, env } = candidate;
  return {
    ...candidate,
    version: versionIn(await runCommand(executable, ['--version'], { timeoutMs: 10_000, env })),
  };
}

function versionIn(output: string): string {
  const match = /v=((\d+)\.\S+)/.exec(output);
  if (match?.[1] === undefined) throw new Error(`an unknown redis-server: ${output.trim()}`);
  if (Number(match[2]) < OLDEST_MAJOR) throw new Error(`redis-server ${match[1]} is too old`);
  return match[1];
}

async function fromDocker(): Promise<RedisRuntime> {
  // Nodes share the host's network so that signals, ports and loopback addresses are the same as for processes. An
  // engine on another machine has another loopback.
  if (process.env.DOCKER_HOST?.startsWith('tcp://'))
    throw new Error('the engine of DOCKER_HOST is not local');
  await runCommand('docker', ['version', '--format', '{{.Server.Version}}'], { timeoutMs: 10_000 });
  const image = process.env.LEASEHOLD_TEST_REDIS_IMAGE || DEFAULT_IMAGE;
  try {
    await runCommand('docker', ['image', 'inspect', image], { timeoutMs: 10_000 });
  } catch {
    await runCommand('docker', ['pull', '--quiet', image], { timeoutMs: 300_000 });
  }
  const asked = ['run', '--rm', '--entrypoint', 'redis-server', image, '--version'];
  return {
    mode: 'docker',
    image,
    version: versionIn(await runCommand('docker', asked, { timeoutMs: 60_000 })),
  };
}
