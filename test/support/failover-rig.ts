// Two instances on a Sentinel deployment under load: what every failover test starts with, and what all of them check
// at the end.

import { expect } from 'vitest';
import { quarantineMs } from '../../src/domain/safety.ts';
import { eventually } from './eventually.ts';
import { LockLoad } from './lock-load.ts';
import { SentinelCluster, type SentinelClusterOptions } from './redis/sentinel-cluster.ts';
import { ServerProcess } from './server-process.ts';
import { clusterEnvironment, startInstance, TestClient } from './test-instance.ts';

const MASTER_NAME = 'mymaster';
/**
 * The largest TTL. It is small, so that the quarantine is short, and long enough for a lease that is renewed each
 * second to survive.
 */
export const MAX_TTL_MS = 9_000;
export const QUARANTINE_MS = quarantineMs(MAX_TTL_MS);
const COMMAND_TIMEOUT_MS = 1_000;
/** What a call may take on a busy machine beyond the command timeout, and far less than a call that hangs. */
const SLACK_MS = 3_000;
/** Time for detection, election and the switch, on a slow machine. */
const FAILOVER_WITHIN_MS = 40_000;

interface ServedInstance {
  readonly address: { readonly host: string; readonly port: number };
  end(): Promise<void>;
}

export interface RigOptions extends SentinelClusterOptions {
  /** The first instance is a process of its own whose connections leave from this address. */
  readonly firstInstanceFrom?: string;
}

export class FailoverRig {
  readonly cluster: SentinelCluster;
  readonly clients: readonly TestClient[];
  readonly load: LockLoad;
  readonly #instances: readonly ServedInstance[];

  private constructor(
    cluster: SentinelCluster,
    instances: readonly ServedInstance[],
    clients: readonly TestClient[],
    load: LockLoad,
  ) {
    this.cluster = cluster;
    this.#instances = instances;
    this.clients = clients;
    this.load = load;
  }

  static async start(options: RigOptions = {}): Promise<FailoverRig> {
    const cluster = await SentinelCluster.start({ masterName: MASTER_NAME, ...options });
    try {
      const environment = {
        ...clusterEnvironment(cluster, MASTER_NAME),
        LEASEHOLD_LOCKS_MAX_TTL: `${MAX_TTL_MS}ms`,
        LEASEHOLD_LOCKS_DEFAULT_TTL: '2s',
        LEASEHOLD_REDIS_COMMAND_TIMEOUT: `${COMMAND_TIMEOUT_MS}ms`,
      };
      const instances = await Promise.all([
        serveFrom(environment, options.firstInstanceFrom),
        serveFrom(environment, undefined),
      ]);
      const clients = instances.map(({ address }) => new TestClient(address));
      for (const client of clients) {
        await eventually(async () => (await client.getServerInfo()).info?.serving === true, {
          what: 'a usable store',
          withinMs: 30_000,
        });
      }
      const load = await LockLoad.start({
        clients,
        workers: 6,
        resources: ['a', 'b'],
        ttlMs: 2_000,
        keptTtlMs: MAX_TTL_MS,
      });
      const rig = new FailoverRig(cluster, instances, clients, load);
      await rig.newGrantsWithin(5_000, 'grants before the failure');
      return rig;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** The reign under which an instance sends commands; '' when it has none. */
  async reign(instance = 1): Promise<string> {
    const info = (await this.clients[instance]?.getServerInfo())?.info;
    return info?.serving ? info.reign : '';
  }

  /** Waits until the instances (all, if none is named) use a primary of another reign than `before`. */
  async nextReign(before: string, instances = [0, 1]): Promise<void> {
    for (const instance of instances) {
      const changed = async (): Promise<boolean> => ![before, ''].includes(await this.reign(instance));
      await eventually(changed, { what: `a reign after ${before}`, withinMs: FAILOVER_WITHIN_MS });
    }
  }

  /** Waits for renewals of the kept lease that were answered from now on. */
  async renewalsWithin(withinMs: number, what: string): Promise<void> {
    const since = performance.now();
    await eventually(() => (this.load.keptRenewals.at(-1) ?? 0) > since, { what, withinMs });
  }

  /** Waits for grants of calls that are sent from now on. */
  async newGrantsWithin(withinMs: number, what: string): Promise<void> {
    const since = performance.now();
    await eventually(() => this.load.grantsSince(since).length > 0, { what, withinMs });
  }

  /** Checks that no call that was sent in this span was granted. */
  expectNoGrants(fromMs: number, untilMs: number): void {
    const grants = this.load.grants.filter((g) => g.sentAtMs >= fromMs && g.receivedAtMs < untilMs);
    expect(grants.map(({ resource, token }) => `${resource} ${token}`)).toEqual([]);
  }

  /** Ends the load and checks what must hold whatever happened, except for what `excused` names. */
  async finish(excused: (violation: string) => boolean = () => false): Promise<void> {
    await this.load.stop();
    const violations = this.load.violations(COMMAND_TIMEOUT_MS + SLACK_MS);
    expect(violations.filter((violation) => !excused(violation))).toEqual([]);
  }

  async stop(): Promise<void> {
    await this.load.stop();
    for (const client of this.clients) client.close();
    await Promise.all(this.#instances.map((instance) => instance.end()));
    await this.cluster.stop();
  }
}

async function serveFrom(
  environment: Readonly<Record<string, string>>,
  sourceAddress: string | undefined,
): Promise<ServedInstance> {
  if (sourceAddress) {
    const server = await ServerProcess.start({ environment, sourceAddress });
    return { address: server.address, end: () => server.kill() };
  }
  const instance = await startInstance(environment);
  return { address: instance.address, end: () => instance.stop() };
}
