// A single-node etcd with a folder and ports of its own, which are gone afterwards. Owns its process.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../../test/support/eventually.ts';
import { freePorts } from '../../test/support/ports.ts';
import {
  guardFromOrphaning,
  releaseFromGuard,
  temporaryFolder,
} from '../../test/support/redis/orphan-guard.ts';
import { etcdLocks } from './etcd-peer.ts';
import type { Program } from './installed.ts';

const READY_WITHIN_MS = 20_000;
/** Linux counts the CPU time of processes in hundredths of a second. */
const TICK_US = 10_000;

export class EtcdServer {
  readonly address: string;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, address: string, folder: string) {
    this.#process = child;
    this.address = address;
    this.#folder = folder;
  }

  /** Returns when it grants leases. */
  static async start({ path, env }: Program): Promise<EtcdServer> {
    const folder = await mkdtemp(join(temporaryFolder(), 'etcd-'));
    const [clientPort, peerPort] = await freePorts(2);
    const clients = `http://127.0.0.1:${clientPort}`;
    const peers = `http://127.0.0.1:${peerPort}`;
    const settings = {
      'data-dir': folder,
      'log-level': 'error',
      'listen-client-urls': clients,
      'advertise-client-urls': clients,
      'listen-peer-urls': peers,
      'initial-advertise-peer-urls': peers,
      'initial-cluster': `default=${peers}`,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawn(path, flags, { env, stdio: 'ignore', detached: true });
    if (child.pid !== undefined) guardFromOrphaning('pid', child.pid);
    const server = new EtcdServer(child, `127.0.0.1:${clientPort}`, folder);
    await once(child, 'spawn');
    try {
      await eventually(() => server.#grantsLeases(), {
        what: 'an etcd that serves',
        withinMs: READY_WITHIN_MS,
      });
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** The user and system time since the start. */
  cpuUs(): number {
    const stat = readFileSync(`/proc/${this.#process.pid}/stat`, 'utf8');
    // The second field is the name in parentheses, which can have spaces; the 14th and 15th are user and system time.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  }

  async stop(): Promise<void> {
    const { pid } = this.#process;
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await ended;
    }
    if (pid !== undefined) releaseFromGuard('pid', pid);
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #grantsLeases(): Promise<boolean> {
    const locks = await etcdLocks(this.address);
    try {
      await locks.caller(0);
      return true;
    } finally {
      locks.close();
    }
  }
}
