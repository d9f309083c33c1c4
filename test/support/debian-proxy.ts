// A proxy that people run in front of gRPC, nginx or HAProxy, as a child process on a free port: one from the PATH, or
// Debian's package unpacked in the project's cache. Its configuration is that of docs/proxies.md. Owns its process and
// its folder. tcp-proxy.ts and http2-proxy.ts are proxies of our own, which do what a test asks for.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';
import { type DebianProgram, type Executable, unpacked } from './debian-package.ts';
import { eventually } from './eventually.ts';
import { canConnect, freePort } from './ports.ts';
import { guardFromOrphaning, releaseFromGuard } from './redis/orphan-guard.ts';
import { runCommand } from './redis/run-program.ts';

export const PROXIES = ['nginx', 'haproxy'] as const;
export type ProxyName = (typeof PROXIES)[number];

interface Kind extends DebianProgram {
  /** Prints its version. */
  readonly version: string;
  arguments(folder: string): readonly string[];
  /** The whole file, with what docs/proxies.md has of it. */
  configuration(folder: string, documented: string): string;
}

const CONFIGURATION = 'proxy.conf';
const PAGE = join(import.meta.dirname, '../../docs/proxies.md');

const KINDS: Readonly<Record<ProxyName, Kind>> = {
  nginx: {
    title: 'nginx',
    packageName: 'nginx',
    cacheName: 'nginx',
    path: 'usr/sbin/nginx',
    version: '-v',
    arguments: (folder) => ['-p', folder, '-c', join(folder, CONFIGURATION), '-e', 'stderr'],
    configuration: (folder, documented) => `
daemon off;
master_process off;
pid ${folder}/pid;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
${documented}}
`,
  },
  haproxy: {
    title: 'HAProxy',
    packageName: 'haproxy',
    cacheName: 'haproxy',
    path: 'usr/sbin/haproxy',
    version: '-v',
    arguments: (folder) => ['-db', '-f', join(folder, CONFIGURATION)],
    configuration: (_folder, documented) => `global\n  maxconn 100\n${documented}`,
  },
};

/** What the page says, with these addresses in the place of those of the page. */
async function documentedFor(name: ProxyName, listens: HostPort, server: HostPort): Promise<string> {
  const page = await readFile(PAGE, 'utf8');
  const block = new RegExp(`\`\`\`${name}\\n(.*?)\`\`\``, 's').exec(page)?.[1];
  if (block === undefined) throw new Error(`docs/proxies.md has no configuration of ${name}`);
  return block
    .replaceAll(/leasehold-\d:50051/g, formatHostPort(server))
    .replace(/(listen|bind) :?50050/, `$1 ${formatHostPort(listens)}`);
}

/** The program, or why there is none here. */
export async function findProxy(name: ProxyName): Promise<Executable | { readonly missing: string }> {
  const kind = KINDS[name];
  const works = async (candidate: Executable): Promise<Executable> => {
    await runCommand(candidate.executable, [kind.version], { env: candidate.env, timeoutMs: 10_000 });
    return candidate;
  };
  try {
    return await works({ executable: name, env: process.env });
  } catch {
    // Not on the PATH.
  }
  try {
    return await unpacked(kind, works);
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return { missing: `no ${kind.title} on the PATH, and none of Debian's packages: ${why}` };
  }
}

export class DebianProxy {
  readonly address: HostPort;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(address: HostPort, child: ChildProcess, folder: string) {
    this.address = address;
    this.#process = child;
    this.#folder = folder;
  }

  /** Returns when it accepts connections, which it passes on to `server`. */
  static async start(
    name: ProxyName,
    { executable, env }: Executable,
    server: HostPort,
  ): Promise<DebianProxy> {
    const kind = KINDS[name];
    const folder = await mkdtemp(join(tmpdir(), `leasehold-${name}-`));
    const address = { host: '127.0.0.1', port: await freePort() };
    const documented = await documentedFor(name, address, server);
    await writeFile(join(folder, CONFIGURATION), kind.configuration(folder, documented));
    const child = spawn(executable, kind.arguments(folder), { env, stdio: ['ignore', 'ignore', 'pipe'] });
    const printed: string[] = [];
    child.stderr?.on('data', (chunk: Buffer) => printed.push(chunk.toString()));
    child.once('error', (error) => printed.push(String(error)));
    const { pid } = child;
    if (pid !== undefined) {
      guardFromOrphaning('pid', pid);
      child.once('exit', () => releaseFromGuard('pid', pid));
    }
    const proxy = new DebianProxy(address, child, folder);
    try {
      await eventually(
        () => {
          if (child.exitCode !== null) throw new Error(`${kind.title} has ended`);
          return canConnect(address);
        },
        { what: `${kind.title} that accepts connections`, withinMs: 10_000 },
      );
    } catch (error) {
      await proxy.stop();
      throw new Error(`${String(error)}. It printed:\n${printed.join('')}`);
    }
    return proxy;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}
