// A Redis Sentinel deployment for tests: one primary, two replicas, three Sentinels, on loopback. Owns their start in
// the right order, the wait until a failover would work, and their end. A test causes failures through the members
// (kill, pause, restart) and, with `partitions`, through `isolate`.
import { randomBytes } from 'node:crypto';
import { eventually } from '../eventually.ts';
import { freePort } from '../ports.ts';
import { TcpProxy } from '../tcp-proxy.ts';
import { Partition, type Party } from './partition.ts';
import type { Address, RedisAuth, SentinelIdentity, ServerConfigOptions } from './redis-config.ts';
import { RedisProcess } from './redis-process.ts';
import { SentinelView } from './sentinel-view.ts';

export interface SentinelClusterOptions {
  readonly masterName?: string;
  readonly replicaCount?: number;
  readonly sentinelCount?: number;
  readonly downAfterMs?: number;
  readonly failoverTimeoutMs?: number;
  readonly redisAuth?: RedisAuth;
  readonly sentinelAuth?: RedisAuth;
  /** Nodes keep an append-only file, so that a restart has the data. */
  readonly appendonly?: boolean;
  /** More configuration lines for every Redis node. */
  readonly directives?: readonly string[];
  /** Every member gets a proxy in front and a source address of its own, so that `isolate` works. Linux only. */
  readonly partitions?: boolean;
  /** More environment variables for the member with this source address, such as a library to preload. */
  readonly environmentOf?: (sourceAddress: string) => Readonly<Record<string, string>>;
}

/** A Redis node or a Sentinel of a cluster. */
export interface ClusterMember {
  readonly process: RedisProcess;
  /** The address that applications, Sentinels and replicas are told: that of its proxy with `partitions`. */
  readonly address: Address;
  readonly sourceAddress: string;
  /** Only with `partitions`. */
  readonly proxy: TcpProxy | undefined;
}

interface Seat extends Omit<ClusterMember, 'process'> {
  readonly listens: Address;
}

const HOST = '127.0.0.1';
const READY_WITHIN_MS = 60_000;
/**
 * Until it is whole, no Sentinel takes a member for dead. On a busy machine one may get no processor time for a second
 * while all of them start, and a failover then leaves the Sentinels without a primary that they agree on.
 */
const PATIENT_DOWN_AFTER_MS = 60_000;

export class SentinelCluster {
  readonly masterName: string;
  /** The first one starts as the primary. */
  readonly nodes: readonly ClusterMember[];
  readonly sentinels: readonly ClusterMember[];
  readonly redisAuth: RedisAuth | undefined;
  readonly sentinelAuth: RedisAuth | undefined;
  readonly #view: SentinelView;
  readonly #downAfterMs: number;
  readonly #partition: Partition | undefined;

  private constructor(
    options: SentinelClusterOptions,
    nodes: readonly ClusterMember[],
    sentinels: readonly ClusterMember[],
  ) {
    this.masterName = nameOf(options);
    this.redisAuth = options.redisAuth;
    this.sentinelAuth = options.sentinelAuth;
    this.#downAfterMs = options.downAfterMs ?? 1_000;
    this.nodes = nodes;
    this.sentinels = sentinels;
    const processes = sentinels.map(({ process }) => process);
    this.#view = new SentinelView(processes, this.masterName);
    const behindProxies = [...nodes, ...sentinels].filter(hasProxy);
    this.#partition = options.partitions ? new Partition(behindProxies) : undefined;
  }

  /** Returns when all Sentinels know each other and a failover would find replicas that are in sync. */
  static async start(options: SentinelClusterOptions = {}): Promise<SentinelCluster> {
    const { replicaCount = 2, sentinelCount = 3 } = options;
    const nodeSeats = await seats(replicaCount + 1, 11, options);
    const sentinelSeats = await seats(sentinelCount, 31, options);
    const nodes = await Promise.all(
      nodeSeats.map((seat, index) => node(seat, index === 0 ? undefined : nodeSeats[0], options)),
    );
    const identities = sentinelSeats.map(({ address }) => ({ id: randomBytes(20).toString('hex'), address }));
    const sentinels = await Promise.all(
      sentinelSeats.map((seat, index) => sentinel(seat, index, identities, nodeSeats, options)),
    );
    const cluster = new SentinelCluster(options, nodes, sentinels);
    try {
      await cluster.#startAll();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get sentinelAddresses(): readonly Address[] {
    return this.sentinels.map(({ address }) => address);
  }

  /** The node that a majority of the Sentinels names now. Throws when there is no such majority. */
  async primary(): Promise<ClusterMember> {
    const node = this.#nodeAt(await this.#view.majorityPrimary());
    if (node === undefined) throw new Error('no majority of the Sentinels names a primary');
    return node;
  }

  /** Waits until a majority of the Sentinels names another node than `old`. */
  async waitForNewPrimary(old: ClusterMember, withinMs: number): Promise<ClusterMember> {
    return eventually(
      async () => {
        const node = await this.primary();
        return node !== old && node;
      },
      { what: `a new primary after ${old.process}`, withinMs },
    );
  }

  /** A planned failover (SENTINEL FAILOVER). Returns the new primary once a majority names it. */
  async failover(withinMs = 15_000): Promise<ClusterMember> {
    const old = await this.primary();
    const [first] = this.sentinels;
    if (first === undefined) throw new Error('a cluster has Sentinels');
    await this.#view.startFailover(first.process);
    return this.waitForNewPrimary(old, withinMs);
  }

  /** Waits until all nodes run, one of them as the primary that a majority names and the others in sync with it. */
  async waitUntilInSync(withinMs = READY_WITHIN_MS): Promise<void> {
    await eventually(() => this.#assertInSync(), { what: 'nodes in sync', withinMs });
  }

  /**
   * Waits until it is as good as new: all nodes and Sentinels run and know each other, and all replicas are in sync.
   */
  async waitUntilWhole(withinMs = READY_WITHIN_MS): Promise<void> {
    await eventually(() => this.#assertWhole(), { what: 'a whole cluster', withinMs });
  }

  /**
   * Cuts one party off from all others but `except`, as a network does: connections stall and nothing is closed.
   * `isolate(primary, { except: [APPLICATIONS] })` leaves the servers alone with a primary that the Sentinels will
   * replace. Adds to earlier calls. Needs `partitions`.
   */
  isolate(
    party: ClusterMember | string,
    { except = [] }: { readonly except?: readonly (ClusterMember | string)[] } = {},
  ): void {
    this.#partitions().isolate(partyOf(party), except.map(partyOf));
  }

  /** Ends all isolations. */
  heal(): void {
    this.#partitions().heal();
  }

  /** Ends all members at once, and removes their data. */
  async stop(): Promise<void> {
    this.#view.close();
    await Promise.all(
      [...this.nodes, ...this.sentinels].map(async ({ process, proxy }) => {
        await process.stop();
        await proxy?.close();
      }),
    );
  }

  async #startAll(): Promise<void> {
    const [primary, ...replicas] = this.nodes;
    if (primary === undefined) throw new Error('a cluster has a primary');
    await primary.process.start();
    // The nodes start one after the other: a replica that doesn't find its primary, or finds it busy with another
    // replica's first sync, waits a second for its next chance.
    for (const replica of replicas) {
      await replica.process.start();
      await eventually(
        async () => {
          await assertFollows(replica, primary.address);
          return (await primary.process.info('persistence')).get('rdb_bgsave_in_progress') === '0';
        },
        { what: `the first sync of ${replica.process}`, withinMs: READY_WITHIN_MS, everyMs: 10 },
      );
    }
    // A Sentinel asks for INFO when it starts and then every 10 s, so a Sentinel that starts now sees the final state.
    await Promise.all(this.sentinels.map(({ process }) => process.start()));
    await this.waitUntilWhole();
    await this.#view.setDownAfter(this.#downAfterMs);
  }

  async #assertInSync(): Promise<void> {
    const primary = await this.primary();
    if ((await primary.process.info('replication')).get('role') !== 'master') {
      throw new Error(`${primary.process} is not a primary yet`);
    }
    for (const node of this.nodes) {
      if (node !== primary) await assertFollows(node, primary.address);
    }
  }

  async #assertWhole(): Promise<void> {
    await this.#assertInSync();
    for (const { process } of this.sentinels) {
      const missing = await this.#view.whatIsMissingAt(process, this.nodes.length - 1);
      if (missing !== undefined) throw new Error(`the Sentinel at ${process.listens.port}: ${missing}`);
    }
  }

  #nodeAt(address: Address | undefined): ClusterMember | undefined {
    return this.nodes.find((node) => node.address.port === address?.port);
  }

  #partitions(): Partition {
    if (this.#partition === undefined) throw new Error('start the cluster with `partitions: true`');
    return this.#partition;
  }
}

function nameOf({ masterName = 'leasehold' }: SentinelClusterOptions): string {
  return masterName;
}

async function seats(
  count: number,
  firstSource: number,
  { partitions = false }: SentinelClusterOptions,
): Promise<Seat[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const listens = { host: HOST, port: await freePort(HOST) };
      if (!partitions) return { listens, address: listens, sourceAddress: HOST, proxy: undefined };
      const proxy = await TcpProxy.start({ target: listens });
      const address = { host: proxy.host, port: proxy.port };
      return { listens, address, sourceAddress: `127.0.0.${firstSource + index}`, proxy };
    }),
  );
}

async function node(
  seat: Seat,
  primarySeat: Seat | undefined,
  options: SentinelClusterOptions,
): Promise<ClusterMember> {
  const { redisAuth, appendonly = false, directives = [], partitions = false } = options;
  const { listens, address, sourceAddress, proxy } = seat;
  const config: ServerConfigOptions = {
    ...(redisAuth && { auth: redisAuth }),
    appendonly,
    directives,
    ...(primarySeat && { replicaOf: primarySeat.address }),
    ...(partitions && { announce: address, sourceAddress }),
  };
  const environment = options.environmentOf?.(sourceAddress) ?? {};
  const process = await RedisProcess.server({ ...listens, ...config, environment });
  return { process, address, sourceAddress, proxy };
}

async function sentinel(
  { listens, address, sourceAddress, proxy }: Seat,
  index: number,
  identities: readonly SentinelIdentity[],
  nodeSeats: readonly Seat[],
  options: SentinelClusterOptions,
): Promise<ClusterMember> {
  const { redisAuth, sentinelAuth, failoverTimeoutMs = 10_000, partitions } = options;
  const [primary, ...replicas] = nodeSeats.map((seat) => seat.address);
  const self = identities[index];
  if (primary === undefined || self === undefined) throw new Error('a cluster has a primary and Sentinels');
  const process = await RedisProcess.sentinel({
    ...listens,
    self,
    others: identities.filter((identity) => identity !== self),
    ...(sentinelAuth && { auth: sentinelAuth }),
    ...(partitions && { sourceAddress }),
    environment: options.environmentOf?.(sourceAddress) ?? {},
    deployment: {
      masterName: nameOf(options),
      primary,
      replicas,
      ...(redisAuth && { redisAuth }),
      quorum: Math.floor(identities.length / 2) + 1,
      downAfterMs: PATIENT_DOWN_AFTER_MS,
      failoverTimeoutMs,
    },
  });
  return { process, address, sourceAddress, proxy };
}

async function assertFollows({ process }: ClusterMember, primary: Address): Promise<void> {
  const state = await process.info('replication');
  const follows =
    Number(state.get('master_port')) === primary.port && state.get('master_link_status') === 'up';
  if (!follows) throw new Error(`${process} is not in sync with the primary`);
}

function hasProxy(member: ClusterMember): member is ClusterMember & { proxy: TcpProxy } {
  return member.proxy !== undefined;
}

function partyOf(party: ClusterMember | string): Party {
  if (typeof party === 'string') return party;
  if (!hasProxy(party)) throw new Error('start the cluster with `partitions: true`');
  return party;
}
