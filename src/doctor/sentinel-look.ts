// What one Sentinel says beside its view of the deployment, and whether an instance could do with it what it needs.

import type { NodeLines } from '../deployment/node-lines.ts';
import type { SentinelView, SilentSentinel, Topology } from '../deployment/topology.ts';
import { addressIn } from '../deployment/topology.ts';
import type { Clock } from '../domain/clock.ts';
import { type HostPort, hostPortIdentity } from '../domain/host-port.ts';
import { Connection, type ConnectionSettings } from '../store/redis/connection.ts';
import type { AnnouncedAddress, SentinelFacts } from './facts.ts';
import { look, lookAndRead, NodeLook, reasonOf } from './look.ts';
import { fieldsOfInfo } from './redis-node-look.ts';

export interface SentinelLookOptions {
  readonly masterName: string;
  readonly lines: NodeLines;
  readonly settings: ConnectionSettings;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

const SWITCHES = '+switch-master';

export async function lookAtSentinel(
  answer: SentinelView | SilentSentinel,
  options: SentinelLookOptions,
): Promise<SentinelFacts> {
  const { address } = answer;
  if ('reason' in answer) {
    const unseen = { unseen: answer.reason };
    return { address, view: unseen, info: unseen, quorumCheck: unseen, subscription: unseen };
  }
  const node = new NodeLook(options.lines, address, options.clock);
  return {
    address,
    view: { seen: answer },
    info: await lookAndRead(node.ask('INFO'), (text) => fieldsOfInfo(String(text))),
    quorumCheck: await checkQuorum(node, options.masterName),
    subscription: await look(() => subscribe(address, options)),
  };
}

/** The Sentinels that others name and the configuration doesn't, each asked whether it can be reached from here. */
export async function lookAtAnnounced(
  { sentinels }: Topology,
  listed: readonly HostPort[],
  lines: NodeLines,
  clock: Clock,
): Promise<readonly AnnouncedAddress[]> {
  const known = new Set(listed.map(hostPortIdentity));
  const others = new Map<string, HostPort>();
  for (const address of sentinels.flatMap(({ otherSentinels }) => otherSentinels.map(addressIn))) {
    if (address && !known.has(hostPortIdentity(address))) others.set(hostPortIdentity(address), address);
  }
  return Promise.all(
    [...others.values()].map(async (address) => {
      const askedAtMs = clock.monotonicMs();
      const opened = await look(() => lines.open(address));
      const reach = 'unseen' in opened ? opened : { seen: clock.monotonicMs() - askedAtMs };
      return { address, reach };
    }),
  );
}

/** A quorum that can't be had is an error reply, and an answer. */
async function checkQuorum(node: NodeLook, masterName: string): Promise<SentinelFacts['quorumCheck']> {
  const reply = await node.ask('SENTINEL', 'CKQUORUM', masterName);
  if ('seen' in reply) return { seen: String(reply.seen) };
  return reply.unseen.startsWith('NOQUORUM') ? { seen: reply.unseen } : reply;
}

/** On a connection of its own, which can't ask anything else afterwards. */
async function subscribe(
  address: HostPort,
  { settings, clock, timeoutMs }: SentinelLookOptions,
): Promise<true> {
  const connection = await Connection.open(address, settings, clock);
  try {
    await connection.subscribeWithin(timeoutMs, SWITCHES, () => {});
    return true;
  } catch (error) {
    throw new Error(reasonOf(error), { cause: error });
  } finally {
    connection.destroy();
  }
}
