// Why a failover should not be rehearsed now. Judges what the Sentinels, the primary and the servers say of themselves;
// who asks them is in safety-look.ts. A rehearsal is for a healthy deployment: on another one it is an outage.

import { addressIn, flagsIn, type SentinelView, type Topology } from '../deployment/topology.ts';
import { formatHostPort, type HostPort, isSameHostPort } from '../domain/host-port.ts';
import type { DrillPlan } from './drill-plan.ts';
import type { ServerState } from './server-states.ts';

export interface Objection {
  readonly check: string;
  /** `host:port`, or what else it is about. */
  readonly subject: string;
  readonly seen: string;
  readonly why: string;
  readonly fix: string;
}

/** What was learned by asking. */
export interface SafetyLook {
  readonly topology: Topology;
  /** What CKQUORUM says when it objects; undefined if it doesn't. */
  readonly quorumTrouble: string | undefined;
  /** INFO replication of the primary; undefined with the reason if it can't be had. */
  readonly replication: { readonly text: string } | { readonly reason: string } | undefined;
  /** Each server, or why it didn't answer. */
  readonly servers: ReadonlyMap<string, ServerState | { readonly reason: string }>;
}

/** What an attached replica may be behind. */
const MOST_BEHIND_BYTES = 1_048_576;
const MOST_SILENT_S = 5;

/** `observe` needs no rest: the failover comes when it comes. */
export function objectionsTo(
  look: SafetyLook,
  { cause, restMs }: Pick<DrillPlan, 'cause' | 'restMs'>,
): readonly Objection[] {
  const rest = cause === 'observe' ? [] : ofLastFailover(look, restMs);
  return [...ofSentinels(look), ...ofReplicas(look), ...rest, ...ofServers(look)];
}

function ofSentinels({ topology, quorumTrouble }: SafetyLook): Objection[] {
  const { sentinels, silent, primary } = topology;
  const known = sentinels.map(({ otherSentinels }) => otherSentinels.length + 1);
  const count = Math.max(sentinels.length + silent.length, ...known);
  const found: Objection[] = [];
  const object = (check: string, subject: string, seen: string, why: string, fix: string): void => {
    found.push({ check, subject, seen, why, fix });
  };
  if (sentinels.length <= count / 2) {
    const reasons = silent.map(({ address, reason }) => `${formatHostPort(address)}: ${reason}`);
    object(
      'sentinel-majority',
      'Sentinels',
      `${sentinels.length} of ${count} answer${reasons.length === 0 ? ', and redis.address lists no other' : ` (${reasons.join('; ')})`}`,
      'without a majority of them no server grants or renews after a failover',
      'start the others, or list all of them in redis.address and check its credentials',
    );
  }
  if (!primary) return found;
  for (const { address, primary: row } of sentinels) {
    const named = addressIn(row);
    if (named && !isSameHostPort(named, primary)) {
      const seen = `names ${formatHostPort(named)}, and others name ${formatHostPort(primary)}`;
      object(
        'one-primary',
        formatHostPort(address),
        seen,
        'a failover is under way, or a Sentinel is cut off',
        'wait until all of them name one primary',
      );
    }
    const flags = flagsIn(row);
    const down = flags.filter((flag) => flag === 's_down' || flag === 'o_down');
    if (flags.includes('failover_in_progress')) {
      object(
        'no-failover-in-progress',
        formatHostPort(address),
        'a failover is in progress',
        'two at a time leave nobody who knows what happened',
        'wait until it is over',
      );
    } else if (down.length > 0) {
      object(
        'primary-up',
        formatHostPort(primary),
        `the Sentinel at ${formatHostPort(address)} says ${down.join(', ')}`,
        'the primary does not answer it, and a real failover may come',
        'find out why; leasehold doctor tells more',
      );
    }
  }
  if (quorumTrouble !== undefined) {
    const isRefused = /NOPERM/.test(quorumTrouble);
    object(
      'quorum',
      'Sentinels',
      quorumTrouble,
      isRefused
        ? 'it is not known whether enough of them can act'
        : 'too few of them can act if the primary really fails',
      isRefused ? rightsFor('+sentinel|ckquorum') : 'start the Sentinels that are missing',
    );
  }
  return found;
}

function ofReplicas({ topology, replication }: SafetyLook): Objection[] {
  const { primary, sentinels } = topology;
  if (!primary || !replication) {
    const seen = 'no primary that a Sentinel names could be asked';
    const why = 'it is not known whether a replica could take over';
    const fix = 'check redis.master_name and redis.address';
    return [{ check: 'primary', subject: 'deployment', seen, why, fix }];
  }
  if ('reason' in replication) {
    const why = 'only the primary knows how far its replicas are behind';
    const fix = /NOPERM/.test(replication.reason)
      ? 'give the Redis user of the configuration the right +info'
      : 'find out why it does not answer; leasehold doctor tells more';
    return [{ check: 'primary', subject: formatHostPort(primary), seen: replication.reason, why, fix }];
  }
  const refusals = sentinels.flatMap(({ refused }) => refused.get('REPLICAS') ?? []);
  if (sentinels.length > 0 && refusals.length === sentinels.length) {
    const [seen = ''] = refusals;
    const why = 'only the Sentinels know which replicas they would promote';
    return [
      { check: 'replica-ready', subject: 'Sentinels', seen, why, fix: rightsFor('+sentinel|replicas') },
    ];
  }
  const attached = attachedIn(replication.text);
  const good = promotable(sentinels).filter((replica) => {
    const found = attached.get(formatHostPort(replica));
    return found?.isOnline && found.behindBytes <= MOST_BEHIND_BYTES && found.silentS <= MOST_SILENT_S;
  });
  if (good.length > 0) return [];
  const all = [...attached].map(([address, one]) => {
    const state = one.isOnline ? `${one.behindBytes} bytes behind, heard ${one.silentS} s ago` : 'not online';
    return `${address}: ${state}`;
  });
  return [
    {
      check: 'replica-ready',
      subject: formatHostPort(primary),
      seen:
        all.length === 0
          ? 'no replica follows it'
          : `no replica that follows it may be promoted and is close to it (${all.join('; ')})`,
      why: 'the Sentinels could promote none, or one that lacks writes',
      fix: 'start the replicas, wait for their sync, and give at least one a replica-priority above 0',
    },
  ];
}

interface Attached {
  readonly isOnline: boolean;
  readonly behindBytes: number;
  readonly silentS: number;
}

/** The replicas that the primary's INFO lists. */
export function attachedIn(info: string): ReadonlyMap<string, Attached> {
  const offset = Number(/^master_repl_offset:(\d+)/m.exec(info)?.[1] ?? 0);
  const rows = info.matchAll(/^slave\d+:ip=([^,]+),port=(\d+),state=([^,]+),offset=(\d+),lag=(-?\d+)/gm);
  return new Map(
    [...rows].map(([, host = '', port, state, at, lag]) => [
      formatHostPort({ host, port: Number(port) }),
      { isOnline: state === 'online', behindBytes: Math.max(0, offset - Number(at)), silentS: Number(lag) },
    ]),
  );
}

/** The replicas that at least one Sentinel would promote. */
function promotable(sentinels: readonly SentinelView[]): readonly HostPort[] {
  const rows = sentinels.flatMap(({ replicas }) => replicas);
  const fit = rows.filter((row) => {
    const isUp = flagsIn(row).every((flag) => flag === 'slave');
    return isUp && row.get('master-link-status') === 'ok' && row.get('slave-priority') !== '0';
  });
  return fit.map(addressIn).filter((address) => address !== undefined);
}

function ofLastFailover({ topology }: SafetyLook, restMs: number | undefined): Objection[] {
  const { primary, sentinels } = topology;
  if (!primary) return [];
  const naming = sentinels.filter(({ primary: row }) => {
    const named = addressIn(row);
    return named !== undefined && isSameHostPort(named, primary);
  });
  const newest = Math.max(0, ...naming.map(({ primary: row }) => Number(row.get('config-epoch'))));
  if (newest === 0) return []; // There was none: each failover has an epoch.
  // A Sentinel counts anew when it starts. The one that has known this reign for the longest is right.
  const rows = naming.filter(({ primary: row }) => Number(row.get('config-epoch')) === newest);
  const sinceMs = Math.max(0, ...rows.map(({ primary: row }) => Number(row.get('role-reported-time'))));
  const timeoutMs = Math.max(0, ...rows.map(({ primary: row }) => Number(row.get('failover-timeout'))));
  const neededMs = restMs ?? 2 * timeoutMs;
  if (rows.length === 0 || sinceMs >= neededMs) return [];
  return [
    {
      check: 'rest',
      subject: formatHostPort(primary),
      seen: `it has been the primary for ${seconds(sinceMs)}, or the Sentinels started then`,
      why: `${seconds(neededMs)} (${restMs === undefined ? 'twice the failover-timeout' : '--rest'}) should lie between two failovers`,
      fix: `wait ${seconds(neededMs - sinceMs)}${restMs === undefined ? ', or say --rest' : ''}`,
    },
  ];
}

function ofServers({ topology, replication, servers }: SafetyLook): Objection[] {
  const replid =
    replication && 'text' in replication ? /^master_replid:(\w+)/m.exec(replication.text)?.[1] : undefined;
  return [...servers].flatMap(([server, state]): Objection[] => {
    if ('reason' in state) {
      const why = 'the drill watches every server that --server names';
      return [
        {
          check: 'servers',
          subject: server,
          seen: state.reason,
          why,
          fix: 'start it, or leave it out of --server',
        },
      ];
    }
    if (state.newcomerMs !== undefined) {
      const seen = `it has just registered, and answers in ${seconds(state.newcomerMs)}`;
      const why = 'its answer to the roll call can end no quarantine yet';
      return [{ check: 'servers', subject: server, seen, why, fix: 'wait until it answers' }];
    }
    if (!state.serving) {
      const why = 'it has no usable Redis primary even before the failover';
      return [
        {
          check: 'servers',
          subject: server,
          seen: 'it does not serve',
          why,
          fix: 'leasehold doctor tells more',
        },
      ];
    }
    if (replid !== undefined && !state.reign.includes(replid)) {
      const primary = topology.primary ? formatHostPort(topology.primary) : 'the primary';
      return [
        {
          check: 'same-deployment',
          subject: server,
          seen: `it uses another Redis than ${primary}, which the Sentinels of the configuration name`,
          why: 'the drill would fail over one deployment and watch another',
          fix: 'give --server and --config of the same deployment',
        },
      ];
    }
    if (state.quarantineMs > 0) {
      const seen = `it is in quarantine for another ${seconds(state.quarantineMs)}`;
      const why = 'a failover was not long ago, and nothing can be granted now';
      return [{ check: 'quarantine', subject: server, seen, why, fix: 'wait until it is over' }];
    }
    return [];
  });
}

/** To servers that can't fail over. */
export function noRedis(servers: readonly string[]): Objection {
  return {
    check: 'store',
    subject: servers.join(','),
    seen: 'it keeps its locks in its memory',
    why: 'there is no Redis that could fail over',
    fix: 'give --server the servers of the deployment of --config',
  };
}

function rightsFor(right: string): string {
  return `give the user of redis.sentinel_username the right ${right} (docs/redis-acl.md)`;
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1_000)} s`;
}
