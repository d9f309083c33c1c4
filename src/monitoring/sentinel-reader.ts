// Reads one Sentinel for the monitor: whom it knows and in which state, whether a failover could be decided, and
// whether it is in TILT. What it announces by itself is heard by notice-listener.ts.

import { isRefusal, type NodeLines } from '../deployment/node-lines.ts';
import { addressIn, flagsIn, readSentinel, type SentinelView } from '../deployment/topology.ts';
import type { Clock } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import { infoFields } from '../store/redis/info.ts';
import type { Read } from './collectors.ts';

export interface SentinelReading {
  readonly view: SentinelView;
  /** Undefined where the user may not ask. */
  readonly isQuorumOk: boolean | undefined;
  /** The same. */
  readonly isInTilt: boolean | undefined;
}

export interface SentinelAnswer {
  readonly isUp: boolean;
  readonly reading: SentinelReading | undefined;
  readonly read: Read;
  /** Nothing has come back: another connection to it may be dead as well. */
  readonly isSilent: boolean;
}

/** What a Sentinel can think of a node that is worth an alarm. */
export const WATCHED_FLAGS = ['s_down', 'o_down', 'disconnected'] as const;

/** Nodes whose flags are shown, of each Sentinel. */
export const MOST_FLAGGED = 50;

/** Never rejects. */
export async function readSentinelState(
  address: HostPort,
  masterName: string,
  lines: NodeLines,
  clock: Clock,
): Promise<SentinelAnswer> {
  const askedMs = clock.monotonicMs();
  const read = (reason: string | undefined): Read => ({
    collector: 'sentinels',
    target: formatHostPort(address),
    tookMs: clock.monotonicMs() - askedMs,
    reason,
  });
  const refusals: string[] = [];
  /** Undefined for what is refused. */
  const ask = async <T>(
    question: readonly [string, ...string[]],
    of: (reply: unknown) => T,
  ): Promise<T | undefined> => {
    try {
      return of(await lines.ask(address, ...question));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refusals.push(`${question.slice(0, 2).join(' ')}: ${error.message}`);
      return undefined;
    }
  };
  try {
    const view = await readSentinel(address, masterName, lines);
    refusals.push(...[...view.refused].map(([command, why]) => `SENTINEL ${command}: ${why}`));
    const isInTilt = await ask(['INFO', 'sentinel'], tiltIn);
    const isQuorumOk = await ask(['SENTINEL', 'CKQUORUM', masterName], () => true);
    // A refusal that says so is the answer "no".
    const hasNoQuorum = /\bNOQUORUM\b/.test(refusals.at(-1) ?? '');
    if (hasNoQuorum) refusals.pop();
    const reading = { view, isInTilt, isQuorumOk: hasNoQuorum ? false : isQuorumOk };
    return { isUp: true, reading, read: read(refusals[0]), isSilent: false };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { isUp: isRefusal(error), reading: undefined, read: read(reason), isSilent: !isRefusal(error) };
  }
}

function tiltIn(reply: unknown): boolean {
  return infoFields(String(reply)).get('sentinel_tilt') === '1';
}

/** Whether it runs a failover: only the Sentinel that leads one has the flag. */
export function isFailingOver({ view }: SentinelReading): boolean {
  return flagsIn(view.primary).includes('failover_in_progress');
}

export interface FlaggedNode {
  readonly node: string;
  readonly flags: readonly string[];
}

/** What it knows: the primary, the replicas, and the other Sentinels. Of very many, those with flags come first. */
export function flaggedNodes({ view }: SentinelReading): readonly FlaggedNode[] {
  const nodes = [view.primary, ...view.replicas, ...view.otherSentinels].flatMap((row): FlaggedNode[] => {
    const address = addressIn(row);
    return address ? [{ node: formatHostPort(address), flags: flagsIn(row) }] : [];
  });
  if (nodes.length <= MOST_FLAGGED) return nodes;
  const isFlagged = ({ flags }: FlaggedNode): boolean => WATCHED_FLAGS.some((flag) => flags.includes(flag));
  return nodes.toSorted((a, b) => Number(isFlagged(b)) - Number(isFlagged(a))).slice(0, MOST_FLAGGED);
}
