// How far a replica is behind its primary. The primary knows best: it counts what each attached replica has
// acknowledged. Of one that isn't attached, only the replica itself can say something.

import { formatHostPort } from '../domain/host-port.ts';
import { attachedReplicas } from '../store/redis/info.ts';
import type { NodeReading } from './node-reader.ts';

export interface ReplicationLag {
  /** `host:port` of the replica. */
  readonly node: string;
  readonly bytes: number | undefined;
  readonly seconds: number | undefined;
}

/** Of all replicas of these nodes. */
export function replicationLags(readings: readonly NodeReading[]): readonly ReplicationLag[] {
  const lags = new Map<string, ReplicationLag>();
  for (const { address, info } of readings) {
    const down = numberIn(info, 'master_link_down_since_seconds');
    if (down === undefined || down < 0) continue;
    const node = formatHostPort(address);
    lags.set(node, { node, bytes: missing(info, readings), seconds: down });
  }
  for (const { info } of readings) {
    const offset = numberIn(info, 'master_repl_offset');
    if (info.get('role') !== 'master' || offset === undefined) continue;
    for (const replica of attachedReplicas(info)) {
      const node = formatHostPort(replica.address);
      lags.set(node, {
        node,
        bytes: Math.max(0, offset - replica.offset),
        seconds: Math.max(0, replica.lag),
      });
    }
  }
  return [...lags.values()];
}

/** Bytes that a detached replica lacks; undefined if its history is not that of a primary among them. */
function missing(info: ReadonlyMap<string, string>, readings: readonly NodeReading[]): number | undefined {
  const own = numberIn(info, 'slave_repl_offset');
  const primary = readings.find(
    (other) =>
      other.info.get('role') === 'master' && other.info.get('master_replid') === info.get('master_replid'),
  );
  const offset = primary && numberIn(primary.info, 'master_repl_offset');
  return own === undefined || offset === undefined ? undefined : Math.max(0, offset - own);
}

function numberIn(info: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = info.get(name);
  return text === undefined ? undefined : Number(text);
}
