// Which nodes make up a deployment, as its Sentinels tell, or its single Redis: for those who only look at it. What the
// path of locks believes is in store/redis/sentinel-watch.ts.

import type { RedisConfig } from '../config/config.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import { fieldsOf } from '../store/redis/info.ts';
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
  /** The questions that the Sentinel's user may not ask, as rights are written; what they would tell is missing. */
  readonly refused: readonly string[];
}

/** A Sentinel that could not be asked, or that does not know the primary, and why. */
export interface SilentSentinel {
  readonly address: HostPort;
  readonly reason: string;
}

export interface Topology {
  /** The nodes that can be asked, the primary first where one is known. */
  readonly primary: HostPort | undefined;
  readonly replicas: readonly HostPort[];
  readonly sentinels: readonly SentinelView[];
  readonly silent: readonly SilentSentinel[];
}

/**
 * Asks all configured Sentinels at once. Never rejects: what can't be learned is missing. The primary is the one that
 * most of them name.
 */
export async function readTopology(
  redis: RedisConfig,
  redisLines: NodeLines,
  sentinelLines: NodeLines | undefined,
): Promise<Topology> {
  if (redis.kind === 'single' || !sentinelLines) return singleTopology(redis, redisLines);
  const answers = await Promise.all(
    redis.sentinels.map(async (address): Promise<SentinelView | SilentSentinel> => {
      try {
        return await viewOf(address, redis.masterName, sentinelLines);
      } catch (error) {
        return { address, reason: error instanceof Error ? error.message : String(error) };
      }
    }),
  );
  const sentinels = answers.filter((answer) => 'primary' in answer);
  const silent = answers.filter((answer) => 'reason' in answer);
  const primary = mostNamed(sentinels.map(({ primary }) => addressIn(primary)));
  const named = distinct(sentinels.flatMap(({ replicas }) => replicas.map(addressIn)));
  const isUntold = named.length === 0 && sentinels.some(({ refused }) => refused.length > 0);
  const replicas = isUntold && primary ? await attachedTo(primary, redisLines) : named;
  const others = replicas.filter((replica) => !primary || !isSame(replica, primary));
  return { primary, replicas: others, sentinels, silent };
}

/** The node that a row is about; undefined if the row names none that can be asked. */
export function addressIn(fields: SentinelFields): HostPort | undefined {
  const host = fields.get('ip') ?? '';
  const port = Number(fields.get('port'));
  return host === '' || !(port > 0) ? undefined : { host, port };
}

/** The flags of a row, such as `master`, `s_down`, `disconnected`. */
export function flagsIn(fields: SentinelFields): readonly string[] {
  return (fields.get('flags') ?? '').split(',').filter((flag) => flag !== '');
}

async function viewOf(address: HostPort, masterName: string, lines: NodeLines): Promise<SentinelView> {
  const id = String(await lines.ask(address, 'SENTINEL', 'MYID'));
  const primary = fieldsOf(await lines.ask(address, 'SENTINEL', 'MASTER', masterName));
  const refused: string[] = [];
  const rows = async (question: string): Promise<readonly SentinelFields[]> => {
    try {
      return rowsOf(await lines.ask(address, 'SENTINEL', question, masterName));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refused.push(`+sentinel|${question.toLowerCase()}`);
      return [];
    }
  };
  const replicas = await rows('REPLICAS');
  const otherSentinels = await rows('SENTINELS');
  return { address, id, primary, replicas, otherSentinels, refused };
}

/** A single Redis says itself who replicates it. */
async function singleTopology(redis: RedisConfig, lines: NodeLines): Promise<Topology> {
  if (redis.kind !== 'single') return { primary: undefined, replicas: [], sentinels: [], silent: [] };
  const replicas = await attachedTo(redis.address, lines);
  return { primary: redis.address, replicas, sentinels: [], silent: [] };
}

async function attachedTo(primary: HostPort, lines: NodeLines): Promise<readonly HostPort[]> {
  try {
    const info = String(await lines.ask(primary, 'INFO', 'replication'));
    const rows = [...info.matchAll(/^slave\d+:ip=([^,]+),port=(\d+)/gm)];
    return rows.map(([, host = '', port]) => ({ host, port: Number(port) }));
  } catch {
    return []; // Those who ask the node next find out why.
  }
}

function rowsOf(reply: unknown): readonly SentinelFields[] {
  return Array.isArray(reply) ? reply.map(fieldsOf) : [];
}

function mostNamed(addresses: readonly (HostPort | undefined)[]): HostPort | undefined {
  const votes = new Map<string, { readonly address: HostPort; count: number }>();
  for (const address of addresses) {
    if (!address) continue;
    const key = formatHostPort(address);
    const vote = votes.get(key) ?? { address, count: 0 };
    votes.set(key, vote);
    vote.count++;
  }
  return [...votes.values()].toSorted((a, b) => b.count - a.count)[0]?.address;
}

function distinct(addresses: readonly (HostPort | undefined)[]): readonly HostPort[] {
  const known = new Map<string, HostPort>();
  for (const address of addresses) if (address) known.set(formatHostPort(address), address);
  return [...known.values()];
}

function isSame(one: HostPort, other: HostPort): boolean {
  return formatHostPort(one) === formatHostPort(other);
}
