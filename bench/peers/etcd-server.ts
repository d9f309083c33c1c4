// An etcd with a folder and ports of its own, which are gone afterwards, by itself or as the member of a cluster. Owns
// its process.
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

/** What a member of a cluster is called, and where it listens. */
export interface EtcdSeat {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
}

export class EtcdServer {
  readonly address: string;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, address: string, folder: string) {
    this.#process = child;
    this.address = address;
    this.#folder = folder;
  }

  /** One by itself. Returns when it grants leases. */
  static async start(program: Program): Promise<EtcdServer> {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const seat = { name: 'default', clientPort, peerPort };
    return EtcdServer.member(program, seat, [seat]);
  }

  /** A member of the cluster with these seats. Returns when it grants leases, for which others have to start, too. */
  static async member({ path, env }: Program, seat: EtcdSeat, all: readonly EtcdSeat[]): Promise<EtcdServer> {
    const folder = await mkdtemp(join(temporaryFolder(), 'etcd-'));
    const clients = `http://127.0.0.1:${seat.clientPort}`;
    const peers = `http://127.0.0.1:${seat.peerPort}`;
    const settings = {
      name: seat.name,
      'data-dir': folder,
      'log-level': 'error',
      'listen-client-urls': clients,
      'advertise-client-urls': clients,
      'listen-peer-urls': peers,
      'initial-advertise-peer-urls': peers,
      'initial-cluster': all.map(({ name, peerPort }) => `${name}=http://127.0.0.1:${peerPort}`).join(','),
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawn(path, flags, { env, stdio: 'ignore', detached: true });
    if (child.pid !== undefined) guardFromOrphaning('pid', child.pid);
    const server = new EtcdServer(child, `127.0.0.1:${seat.clientPort}`, folder);
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

  /** A crash. */
  kill(): void {
    this.#process.kill('SIGKILL');
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
