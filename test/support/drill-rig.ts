// A Sentinel deployment with two server processes and a configuration file, to run `leasehold drill failover` against.
// Owns their start and end, and what is left at the servers afterwards.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient } from '../../src/client/client.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { leasehold } from './cli-rig.ts';
import type { CommandLine } from './command-line.ts';
import { eventually } from './eventually.ts';
import { SentinelCluster } from './redis/sentinel-cluster.ts';
import { LEASEHOLD, ServerProcess } from './server-process.ts';
import { testEnvironment } from './test-instance.ts';

const MASTER_NAME = 'drilled';
/** Long enough for leases to survive a failover here, and short enough for a quarantine that a test can wait for. */
const MAX_TTL_MS = 9_000;
const FAILOVER_TIMEOUT_MS = 4_000;
const SERVES_WITHIN_MS = 30_000;

export interface DrillRigOptions {
  readonly maxTtlMs?: number;
  readonly downAfterMs?: number;
  /** The servers, if they are not Leasehold as it is. */
  readonly script?: readonly string[];
}

export class DrillRig {
  readonly cluster: SentinelCluster;
  readonly client: Client;
  readonly configFile: string;
  readonly #servers: readonly ServerProcess[];
  readonly #folder: string;

  private constructor(cluster: SentinelCluster, servers: readonly ServerProcess[], maxTtlMs: number) {
    this.cluster = cluster;
    this.#servers = servers;
    this.client = createClient({ addresses: this.addresses });
    this.#folder = mkdtempSync(join(tmpdir(), 'leasehold-drill-'));
    this.configFile = join(this.#folder, 'leasehold.yaml');
    const sentinels = cluster.sentinelAddresses.map((address) => `"${formatHostPort(address)}"`);
    writeFileSync(
      this.configFile,
      [
        'redis:',
        '  failover_cluster: true',
        `  master_name: ${MASTER_NAME}`,
        `  address: [${sentinels.join(', ')}]`,
        `locks: { max_ttl: ${maxTtlMs}ms }`,
        '',
      ].join('\n'),
    );
  }

  static async start({
    maxTtlMs = MAX_TTL_MS,
    downAfterMs = 1_000,
    script = LEASEHOLD,
  }: DrillRigOptions = {}): Promise<DrillRig> {
    const cluster = await SentinelCluster.start({
      masterName: MASTER_NAME,
      downAfterMs,
      failoverTimeoutMs: FAILOVER_TIMEOUT_MS,
    });
    const environment = testEnvironment({
      LEASEHOLD_LOG_LEVEL: 'info',
      LEASEHOLD_REDIS_FAILOVER_CLUSTER: 'true',
      LEASEHOLD_REDIS_MASTER_NAME: MASTER_NAME,
      LEASEHOLD_REDIS_ADDRESS: cluster.sentinelAddresses.map(formatHostPort).join(','),
      LEASEHOLD_REDIS_BOOTSTRAP: 'new',
      LEASEHOLD_LOCKS_MAX_TTL: `${maxTtlMs}ms`,
      LEASEHOLD_SERVER_DRAIN_TIMEOUT: '0s',
    });
    try {
      const servers = await Promise.all([
        ServerProcess.start({ environment, script }),
        ServerProcess.start({ environment, script }),
      ]);
      const rig = new DrillRig(cluster, servers, maxTtlMs);
      await rig.granting();
      return rig;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get addresses(): readonly string[] {
    return this.#servers.map(({ address }) => formatHostPort(address));
  }

  /** Starts a drill of small times; later arguments win over these. */
  drill(...args: readonly string[]): CommandLine {
    const small = ['--before', '1s', '--settle', '1s', '--rest', '1s', '--holders', '6', '--timeout', '5s'];
    return leasehold(undefined, [
      'drill',
      'failover',
      '--config',
      this.configFile,
      '--server',
      this.addresses.join(','),
      ...small,
      ...args,
    ]);
  }

  /** Waits until all servers grant and all Redis nodes are in sync, so that a drill would find nothing to object to. */
  async granting(): Promise<void> {
    await this.cluster.waitUntilWhole();
    for (const address of this.addresses) {
      const client = createClient({ addresses: [address] });
      const grants = async (): Promise<boolean> => {
        const info = await client.serverInfo();
        return info.serving && !info.quarantineRemainingMs;
      };
      await eventually(grants, { what: `grants of ${address}`, withinMs: SERVES_WITHIN_MS });
      client.close();
    }
  }

  /** The locks of the drill, or of all drills, that the servers still know. */
  async locksLeft(drill?: CommandLine): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const { resource } of this.client.locks.list({ prefix: prefixOf(drill) }))
      names.push(resource);
    return names;
  }

  /** The same with the operations. */
  async left(drill?: CommandLine): Promise<readonly string[]> {
    const names = [...(await this.locksLeft(drill))];
    for await (const { name } of this.client.operations.list({ prefix: prefixOf(drill) })) names.push(name);
    return names;
  }

  async stop(): Promise<void> {
    this.client.close();
    await Promise.all(this.#servers.map((server) => server.stop()));
    await this.cluster.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function prefixOf(drill: CommandLine | undefined): string {
  const all = 'leasehold-drill/';
  if (!drill) return all;
  const [prefix] = /leasehold-drill\/\w+\//.exec(drill.stderr) ?? [];
  if (!prefix) throw new Error(`the drill has named no prefix: ${drill}`);
  return prefix;
}
