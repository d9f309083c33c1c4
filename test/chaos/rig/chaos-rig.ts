// What a chaos run plays with: three Redis nodes with a Sentinel each, two servers, ten clients, the network between
// them and the clocks of the nodes. Owns their start and end, who has which role now, and which of them a fault has
// taken; the catalogue says what is done to them.
import { join } from 'node:path';
import { entryKeptMs, newcomerWaitMs, quarantineMs } from '../../../src/domain/safety.ts';
import { SentinelCluster } from '../../support/redis/sentinel-cluster.ts';
import { clusterEnvironment } from '../../support/test-instance.ts';
import type { ClientKind } from '../client/roles.ts';
import { ClientTarget } from './client-target.ts';
import { Clocks } from './clocks.ts';
import { Network, type Party } from './network.ts';
import { RedisTarget } from './redis-target.ts';
import { ServerTarget } from './server-target.ts';

/**
 * So short that data of a failover may still be fresh, which takes 2 to 4 s with `down-after-milliseconds` 1000, and
 * that a run sees newcomers and dead entries come and go.
 */
export const MAX_TTL_MS = 8_000;
export const QUARANTINE_MS = quarantineMs(MAX_TTL_MS);
/** How long a server that has just started answers nothing. */
export const NEWCOMER_MS = newcomerWaitMs(MAX_TTL_MS);
/** How long a dead server keeps quarantines whole. */
export const ENTRY_KEPT_MS = entryKeptMs(MAX_TTL_MS);
export const COMMAND_TIMEOUT_MS = 1_000;
const MASTER_NAME = 'chaos';
const NODES = 3;
const SERVERS = 2;
const CLIENTS = 10;
const FIRST_NODE = 11;
const FIRST_SENTINEL = 31;
const FIRST_SERVER = 41;
const FIRST_CLIENT = 51;
const TEETH_MODULE = join(import.meta.dirname, '../teeth/without.ts');

export interface RigOptions {
  /** The folder for the logs and histories of the run. */
  readonly folder: string;
  readonly seed: number;
  /** 0 means async. */
  readonly minAcks: number;
  /** Whether quarantines end early. */
  readonly rollCall: boolean;
  /** The mechanism that is taken out; '' for none. */
  readonly mutant: string;
  /** How many clients of each kind, in their order; their names decide what they do when not given. */
  readonly clients?: readonly ClientKind[];
  readonly onCrash: (what: string) => void;
}

/** The plan asks for what cannot be done now, because other faults are at work. */
export class NotNow extends Error {
  override readonly name = 'NotNow';
}

export class Rig {
  readonly minAcks: number;
  readonly cluster: SentinelCluster;
  readonly nodes: readonly RedisTarget[];
  readonly sentinels: readonly RedisTarget[];
  readonly servers: readonly ServerTarget[];
  readonly network: Network;
  readonly clocks: Clocks;
  readonly #options: RigOptions;
  readonly #taken = new Set<Party>();
  #clients: readonly ClientTarget[] = [];

  private constructor(
    options: RigOptions,
    cluster: SentinelCluster,
    servers: readonly ServerTarget[],
    clocks: Clocks,
  ) {
    this.#options = options;
    this.minAcks = options.minAcks;
    this.cluster = cluster;
    this.nodes = cluster.nodes.map((member, index) => new RedisTarget(`node-${index + 1}`, member));
    this.sentinels = cluster.sentinels.map(
      (member, index) => new RedisTarget(`sentinel-${index + 1}`, member),
    );
    this.servers = servers;
    this.clocks = clocks;
    this.network = new Network([...this.nodes, ...this.sentinels, ...this.servers]);
  }

  /** Returns when both servers answer, which the second one does only after a while. No client runs yet. */
  static async start(options: RigOptions): Promise<Rig> {
    const clocks = await Clocks.build(join(options.folder, 'clocks'));
    const cluster = await SentinelCluster.start({
      masterName: MASTER_NAME,
      partitions: true,
      appendonly: true,
      downAfterMs: 1_000,
      failoverTimeoutMs: 10_000,
      environmentOf: (sourceAddress) => clocks.environmentOf(nameAt(sourceAddress)),
    });
    const servers: ServerTarget[] = [];
    try {
      const { LEASEHOLD_REDIS_BOOTSTRAP: bootstrap = '', ...environment } = clusterEnvironment(
        cluster,
        MASTER_NAME,
      );
      for (let index = 0; index < SERVERS; index += 1) {
        servers.push(
          await ServerTarget.place({
            ...shared(options),
            name: `server-${index + 1}`,
            sourceAddress: `127.0.0.${FIRST_SERVER + index}`,
            environment: { ...environment, ...deployment(options) },
          }),
        );
      }
      const rig = new Rig(options, cluster, servers, clocks);
      // The setting assures that no lease exists, which is true only at their first start.
      await Promise.all(servers.map((server) => server.start({ LEASEHOLD_REDIS_BOOTSTRAP: bootstrap })));
      await Promise.all(servers.map((server) => server.answers()));
      return rig;
    } catch (error) {
      await Promise.all(servers.map((server) => server.close()));
      await cluster.stop();
      throw error;
    }
  }

  get clients(): readonly ClientTarget[] {
    return this.#clients;
  }

  async startClients(guardPath: string): Promise<void> {
    const { seed, clients: kinds = [] } = this.#options;
    this.#clients = Array.from({ length: CLIENTS }, (_, index) => {
      const { roles, server } = kinds[Math.floor((index * kinds.length) / CLIENTS)] ?? {};
      const known = this.servers.filter((_server, which) => server === undefined || server === which);
      const servers = known.map(({ address }) => address);
      const terms = { servers, guardPath, maxTtlMs: MAX_TTL_MS, ...(roles && { roles }) };
      const sourceAddress = `127.0.0.${FIRST_CLIENT + index}`;
      const own = { name: `client-${index + 1}`, sourceAddress, seed: seed * 100 + index, terms };
      return new ClientTarget({ ...shared(this.#options), ...own });
    });
    await Promise.all(this.#clients.map((client) => client.start()));
  }

  /** All parties except the clients: those that others connect to. */
  get backstage(): readonly Party[] {
    return [...this.nodes, ...this.sentinels, ...this.servers];
  }

  /** From now on they belong to one fault; a party that is taken already cannot be struck a second time. */
  take(parties: readonly Party[]): void {
    const taken = parties.find((party) => this.#taken.has(party));
    if (taken) throw new NotNow(`${taken.name} is struck already`);
    for (const party of parties) this.#taken.add(party);
  }

  giveBack(parties: readonly Party[]): void {
    for (const party of parties) this.#taken.delete(party);
  }

  isTaken(party: Party): boolean {
    return this.#taken.has(party);
  }

  /** The node that a majority of the Sentinels names. */
  async primary(): Promise<RedisTarget> {
    const member = await this.cluster.primary().catch(() => undefined);
    const node = this.nodes.find((candidate) => candidate.member === member);
    if (node === undefined) throw new NotNow('no majority of the Sentinels names a primary');
    return node;
  }

  /** The nodes that aren't the primary, in their own order. */
  async replicas(): Promise<readonly [RedisTarget, RedisTarget]> {
    const primary = await this.primary();
    const [first, second] = this.nodes.filter((node) => node !== primary);
    if (first === undefined || second === undefined) throw new Error(`there are ${NODES} nodes`);
    return [first, second];
  }

  async isInSync(): Promise<boolean> {
    return this.cluster.waitUntilInSync(2_000).then(
      () => true,
      () => false,
    );
  }

  /** Redis processes that ended by themselves. */
  async deadRedis(): Promise<string[]> {
    const all = [...this.nodes, ...this.sentinels];
    const running = await Promise.all(all.map(({ member }) => member.process.isRunning()));
    return all.filter((_, index) => running[index] === false).map(({ name }) => `${name} is not running`);
  }

  /** Redis deletes its logs with its folders; the run's folder keeps copies. */
  async logs(): Promise<ReadonlyMap<string, string>> {
    const all = [...this.nodes, ...this.sentinels];
    const texts = await Promise.all(all.map(({ member }) => member.process.log()));
    return new Map(all.map(({ name }, index) => [name, texts[index] ?? '']));
  }

  /** Ends all processes at once. */
  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.kill()));
    await Promise.all(this.servers.map((server) => server.close()));
    await this.cluster.stop();
  }
}

/** What servers and clients have in common. */
function shared({ folder, mutant, onCrash }: RigOptions) {
  return { folder, onCrash, preload: mutant === '' ? [] : [TEETH_MODULE], environment: without(mutant) };
}

function without(mutant: string): Readonly<Record<string, string>> {
  return mutant === '' ? {} : { LEASEHOLD_TEST_WITHOUT: mutant };
}

function deployment({ minAcks, mutant, rollCall }: RigOptions): Record<string, string> {
  return {
    ...without(mutant),
    LEASEHOLD_LOCKS_MAX_TTL: `${MAX_TTL_MS}ms`,
    LEASEHOLD_LOCKS_DEFAULT_TTL: '5s',
    LEASEHOLD_REDIS_ROLL_CALL: rollCall ? 'on' : 'off',
    LEASEHOLD_REDIS_COMMAND_TIMEOUT: `${COMMAND_TIMEOUT_MS}ms`,
    LEASEHOLD_SERVER_DRAIN_TIMEOUT: '4s',
    LEASEHOLD_SERVER_KEEPALIVE_TIME: '2s',
    LEASEHOLD_SERVER_KEEPALIVE_TIMEOUT: '2s',
    ...(minAcks === 0
      ? { LEASEHOLD_REDIS_DURABILITY: 'async' }
      : { LEASEHOLD_REDIS_DURABILITY: 'replicated', LEASEHOLD_REDIS_MIN_ACKS: String(minAcks) }),
  };
}

function nameAt(sourceAddress: string): string {
  const last = Number(sourceAddress.split('.').at(-1));
  return last >= FIRST_SENTINEL ? `sentinel-${last - FIRST_SENTINEL + 1}` : `node-${last - FIRST_NODE + 1}`;
}
