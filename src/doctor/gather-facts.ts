// Gathers all facts of a deployment, from all nodes at once. It always ends in time: each connection and each command
// has a bound, and so has the whole.

import type { Config, RedisConfig } from '../config/config.ts';
import { redisConnection, sentinelConnection } from '../deployment/connection-settings.ts';
import { NodeLines } from '../deployment/node-lines.ts';
import { readTopology, type Topology } from '../deployment/topology.ts';
import { type Clock, within } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import type { ConnectionSettings } from '../store/redis/connection.ts';
import { keysFor } from '../store/redis/keys.ts';
import { lookAtFiles, lookAtPeer, type Peer } from './certificate-look.ts';
import type { CertificateFacts, Facts } from './facts.ts';
import { isOnThisHost, lookAtHost } from './host-look.ts';
import { lookAtInstances, lookAtMeta, lookAtRedis } from './redis-node-look.ts';
import { lookAtAnnounced, lookAtSentinel } from './sentinel-look.ts';

const COMMAND_WITHIN_MS = 1_500;
const CONNECT_WITHIN_MS = 2_000;
/** Of what takes longer than all its steps may: a defect, but one that must not hang. */
const ALL_WITHIN_MS = 20_000;
const NAME = 'leasehold-doctor';

interface Lines {
  readonly redis: NodeLines;
  readonly redisSettings: ConnectionSettings;
  readonly sentinel: NodeLines | undefined;
  readonly sentinelSettings: ConnectionSettings | undefined;
}

/** Rejects only when the files of TLS can't be read. */
export async function gatherFacts(config: Config, redis: RedisConfig, clock: Clock): Promise<Facts> {
  const lines = openLines(redis, clock);
  const late = (): Error => new Error(`the examination took longer than ${ALL_WITHIN_MS} ms`);
  try {
    return await within(clock, ALL_WITHIN_MS, gather(config, redis, clock, lines), late);
  } finally {
    lines.redis.close();
    lines.sentinel?.close();
  }
}

function openLines(redis: RedisConfig, clock: Clock): Lines {
  const bounded = { ...redis, connectTimeoutMs: Math.min(redis.connectTimeoutMs, CONNECT_WITHIN_MS) };
  const silent = { event: () => {} };
  const common = { clock, timeoutMs: COMMAND_WITHIN_MS };
  const redisSettings = redisConnection(bounded, NAME, silent);
  const sentinelSettings =
    bounded.kind === 'sentinel' ? sentinelConnection(bounded, NAME, silent) : undefined;
  return {
    redis: new NodeLines({ ...common, settings: redisSettings }),
    redisSettings,
    sentinel: sentinelSettings && new NodeLines({ ...common, settings: sentinelSettings }),
    sentinelSettings,
  };
}

async function gather(config: Config, redis: RedisConfig, clock: Clock, lines: Lines): Promise<Facts> {
  const topology = await readTopology(redis, lines.redis, lines.sentinel);
  const options = {
    lines: lines.redis,
    clock,
    keys: keysFor(redis.keyPrefix),
    timeoutMs: COMMAND_WITHIN_MS,
    isHere: isOnThisHost,
  };
  const { primary } = topology;
  const replicas = topology.replicas.toSorted(byName); // the Sentinels tell them in any order
  const [nodes, sentinels, announced, meta, instances, certificates, host] = await Promise.all([
    Promise.all([
      ...(primary ? [lookAtRedis(primary, 'primary', options)] : []),
      ...replicas.map((replica) => lookAtRedis(replica, 'replica', options)),
    ]),
    sentinelsOf(redis, topology, clock, lines),
    redis.kind === 'sentinel' && lines.sentinel
      ? lookAtAnnounced(topology, redis.sentinels, lines.sentinel, clock)
      : [],
    lookAtMeta(primary, options),
    lookAtInstances(primary, options),
    certificatesOf(config, redis, topology, clock, lines),
    lookAtHost(),
  ]);
  return {
    nowMs: clock.wallMs(),
    primary,
    nodes,
    sentinels,
    announcedSentinels: announced.toSorted((one, other) => byName(one.address, other.address)),
    meta,
    instances,
    certificates,
    host,
  };
}

function byName(one: HostPort, other: HostPort): number {
  return formatHostPort(one).localeCompare(formatHostPort(other), 'en', { numeric: true });
}

/** In the order of the configuration. */
async function sentinelsOf(
  redis: RedisConfig,
  { sentinels, silent }: Topology,
  clock: Clock,
  { sentinel, sentinelSettings }: Lines,
): Promise<Facts['sentinels']> {
  if (redis.kind !== 'sentinel' || !sentinel || !sentinelSettings) return [];
  const { masterName } = redis;
  const options = {
    masterName,
    lines: sentinel,
    settings: sentinelSettings,
    clock,
    timeoutMs: COMMAND_WITHIN_MS,
  };
  const answers = [...sentinels, ...silent];
  const inOrder = redis.sentinels.flatMap((address) =>
    answers.filter((answer) => answer.address === address),
  );
  return Promise.all(inOrder.map((answer) => lookAtSentinel(answer, options)));
}

async function certificatesOf(
  config: Config,
  redis: RedisConfig,
  { primary, replicas }: Topology,
  clock: Clock,
  { redisSettings, sentinelSettings }: Lines,
): Promise<readonly CertificateFacts[]> {
  const nodes: readonly HostPort[] = [...(primary ? [primary] : []), ...replicas];
  const what = 'the certificate that it presents';
  const peers: readonly Peer[] = [
    ...nodes.map((address) => ({ address, what, settings: redisSettings })),
    ...(redis.kind === 'sentinel' && sentinelSettings
      ? redis.sentinels.map((address) => ({ address, what, settings: sentinelSettings }))
      : []),
  ];
  const looks = [
    lookAtFiles(config, redis),
    ...peers.map((peer) => lookAtPeer(peer, clock, COMMAND_WITHIN_MS)),
  ];
  return (await Promise.all(looks)).flat();
}
