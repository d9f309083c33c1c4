// Which nodes make up a deployment, as its Sentinels tell, or its single Redis: for those who only look at it. What the
// path of locks believes is in store/redis/sentinel-watch.ts.

import type { RedisConfig } from '../config/config.ts';
import { formatHostPort, type HostPort, hostPortFrom, isSameHostPort } from '../domain/host-port.ts';
import { attachedReplicas, fieldsOf, infoFields } from '../store/redis/info.ts';
import { isRefusal, type NodeLines } from './node-lines.ts';

/** A row of SENTINEL MASTER, REPLICAS or SENTINELS: `ip`, `port`, `flags`, `runid` and more. */
export type SentinelFields = ReadonlyMap<string, string>;

/** What one Sentinel says of the deployment. */
export interface SentinelView {
  readonly address: HostPort;
  readonly id: string;
  readonly primary: SentinelFields;
  readonly replicas: readonly SentinelFields[];
  readonly otherSentinels: readonly SentinelFields[];
  /** What it refused to tell, by the command: its user may lack the right. The rows are then missing. */
  readonly refused: ReadonlyMap<'REPLICAS' | 'SENTINELS', string>;
}

/** A Sentinel that could not be asked, or that does not know the primary, and why. */
export interface SilentSentinel {
  readonly address: HostPort;
  readonly reason: string;
}

export interface Topology {
  /** The node that most Sentinels name; undefined if none names one. */
  readonly primary: HostPort | undefined;
  /** The same, if a majority of the configured Sentinels names it. */
  readonly agreedPrimary: HostPort | undefined;
  readonly replicas: readonly HostPort[];
  readonly sentinels: readonly SentinelView[];
  readonly silent: readonly SilentSentinel[];
}

/** Asks all configured Sentinels at once. Never rejects: what can't be learned is missing. */
export async function readTopology(
  redis: RedisConfig,
  redisLines: NodeLines,
  sentinelLines: NodeLines | undefined,
): Promise<Topology> {
  if (redis.kind === 'single' || !sentinelLines) return singleTopology(redis, redisLines);
  const answers = await Promise.all(
    redis.sentinels.map(async (address): Promise<SentinelView | SilentSentinel> => {
      try {
        return await readSentinel(address, redis.masterName, sentinelLines);
      } catch (error) {
        return { address, reason: error instanceof Error ? error.message : String(error) };
      }
    }),
  );
  const topology = topologyOf(answers);
  const { primary, sentinels } = topology;
  if (!primary || !sentinels.every(({ refused }) => refused.has('REPLICAS'))) return topology;
  return { ...topology, replicas: await replicasOf(primary, redisLines) };
}

/** What the Sentinels together say. */
export function topologyOf(answers: readonly (SentinelView | SilentSentinel)[]): Topology {
  const sentinels = answers.filter((answer) => 'primary' in answer);
  const silent = answers.filter((answer) => 'reason' in answer);
  const [first] = votesFor(sentinels.map(({ primary }) => addressIn(primary)));
  const primary = first?.address;
  const replicas = distinct(sentinels.flatMap(({ replicas }) => replicas.map(addressIn)));
  return {
    primary,
    agreedPrimary: first && first.votes > answers.length / 2 ? primary : undefined,
    replicas: replicas.filter((replica) => !primary || !isSameHostPort(replica, primary)),
    sentinels,
    silent,
  };
}

/**
 * What one Sentinel says. Rejects when it can't be asked or doesn't know the primary; whom else it knows may be
 * refused to its user.
 */
export async function readSentinel(
  address: HostPort,
  masterName: string,
  lines: NodeLines,
): Promise<SentinelView> {
  const refused = new Map<'REPLICAS' | 'SENTINELS', string>();
  const rows = async (command: 'REPLICAS' | 'SENTINELS'): Promise<readonly SentinelFields[]> => {
    try {
      const reply = await lines.ask(address, 'SENTINEL', command, masterName);
      return Array.isArray(reply) ? reply.map(fieldsOf) : [];
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refused.set(command, error instanceof Error ? error.message : String(error));
      return [];
    }
  };
  const id = String(await lines.ask(address, 'SENTINEL', 'MYID'));
  const primary = fieldsOf(await lines.ask(address, 'SENTINEL', 'MASTER', masterName));
  const replicas = await rows('REPLICAS');
  const otherSentinels = await rows('SENTINELS');
  return { address, id, primary, replicas, otherSentinels, refused };
}

/** The node that a row is about; undefined if the row names none that can be asked. */
export function addressIn(fields: SentinelFields): HostPort | undefined {
  return hostPortFrom(fields.get('ip'), fields.get('port'));
}

/** The flags of a row, such as `master`, `s_down`, `disconnected`. */
export function flagsIn(fields: SentinelFields): readonly string[] {
  return (fields.get('flags') ?? '').split(',').filter((flag) => flag !== '');
}

/** A single Redis says itself who replicates it. */
async function singleTopology(redis: RedisConfig, lines: NodeLines): Promise<Topology> {
  const none = { agreedPrimary: undefined, replicas: [], sentinels: [], silent: [] };
  if (redis.kind !== 'single') return { ...none, primary: undefined };
  const { address } = redis;
  return { ...none, primary: address, agreedPrimary: address, replicas: await replicasOf(address, lines) };
}

/** None if the node can't be asked: those who ask it next find out why. */
async function replicasOf(primary: HostPort, lines: NodeLines): Promise<readonly HostPort[]> {
  try {
    const info = infoFields(String(await lines.ask(primary, 'INFO', 'replication')));
    return attachedReplicas(info).map(({ address }) => address);
  } catch {
    return [];
  }
}

/** The most votes first. */
function votesFor(
  addresses: readonly (HostPort | undefined)[],
): readonly { readonly address: HostPort; readonly votes: number }[] {
  const counted = new Map<string, { readonly address: HostPort; votes: number }>();
  for (const address of addresses) {
    if (!address) continue;
    const key = formatHostPort(address);
    const vote = counted.get(key) ?? { address, votes: 0 };
    counted.set(key, vote);
    vote.votes++;
  }
  return [...counted.values()].toSorted((a, b) => b.votes - a.votes);
}

function distinct(addresses: readonly (HostPort | undefined)[]): readonly HostPort[] {
  const known = new Map<string, HostPort>();
  for (const address of addresses) if (address) known.set(formatHostPort(address), address);
  return [...known.values()];
}
