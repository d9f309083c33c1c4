// Reads one Redis node for the monitor: INFO, and the length of the slow log. Owns which commands those are, and what
// each collector makes of the answers.

import { isRefusal, type NodeLines } from '../deployment/node-lines.ts';
import type { Clock } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import { infoFields } from '../store/redis/info.ts';
import type { Read } from './collectors.ts';
import { type FamilyLatency, familyLatencies } from './command-latencies.ts';

export interface NodeReading {
  readonly address: HostPort;
  /** The fields of INFO. */
  readonly info: ReadonlyMap<string, string>;
  readonly latencies: readonly FamilyLatency[];
  /** Undefined if the user has no right to it. */
  readonly slowlogLength: number | undefined;
}

export interface NodeAnswer {
  /** Whether the node has answered anything. */
  readonly isUp: boolean;
  readonly reading: NodeReading | undefined;
  readonly reads: readonly Read[];
}

/** One question for all of them, so that the numbers are of one moment. */
const SECTIONS = [
  'server',
  'clients',
  'memory',
  'persistence',
  'stats',
  'replication',
  'cpu',
  'latencystats',
] as const;

/** Never rejects. */
export async function readNode(address: HostPort, lines: NodeLines, clock: Clock): Promise<NodeAnswer> {
  const target = formatHostPort(address);
  const askedMs = clock.monotonicMs();
  let info: ReadonlyMap<string, string>;
  try {
    info = infoFields(String(await lines.ask(address, 'INFO', ...SECTIONS)));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const failed = { target, tookMs: clock.monotonicMs() - askedMs, reason };
    const others = { ...failed, isTold: true };
    return {
      isUp: isRefusal(error) && error.message.startsWith('NOPERM'),
      reading: undefined,
      reads: [
        { ...failed, collector: 'info' },
        { ...others, collector: 'latency' },
        { ...others, collector: 'slowlog' },
      ],
    };
  }
  const tookMs = clock.monotonicMs() - askedMs;
  const latencies = familyLatencies(info);
  const slowlog = await slowlogLength(address, lines, clock);
  return {
    isUp: true,
    reading: { address, info, latencies, slowlogLength: slowlog.length },
    reads: [
      { collector: 'info', target, tookMs },
      {
        collector: 'latency',
        target,
        tookMs,
        reason: latencies.length > 0 ? undefined : 'Redis tracks no latencies: latency-tracking is off',
      },
      slowlog.read,
    ],
  };
}

async function slowlogLength(
  address: HostPort,
  lines: NodeLines,
  clock: Clock,
): Promise<{ readonly length: number | undefined; readonly read: Read }> {
  const askedMs = clock.monotonicMs();
  let length: number | undefined;
  let reason: string | undefined;
  try {
    length = Number(await lines.ask(address, 'SLOWLOG', 'LEN'));
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  const tookMs = clock.monotonicMs() - askedMs;
  return { length, read: { collector: 'slowlog', target: formatHostPort(address), tookMs, reason } };
}
