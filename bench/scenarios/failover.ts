// What a failover costs: the primary of a Sentinel deployment is killed, or demoted by SENTINEL FAILOVER, while leases
// are held through several servers. Measures when renewals and grants go on, and where the time goes. The floor is the
// same without a roll call: the full quarantine. Beside it are the restart of one server, and an etcd cluster whose
// leader is killed.
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { ServerProcess } from '../../test/support/server-process.ts';
import { type Failover, FailoverWatch } from '../failover-watch.ts';
import { median } from '../figures.ts';
import type { Pings, Renewals } from '../load-order.ts';
import { etcdFailovers } from '../peers/etcd-failover.ts';
import { givePrecedence } from '../precedence.ts';
import type { Rig } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';
import { restarts } from './restarts.ts';

const DOWN_AFTER_MS = 1_000;
const TTL_MS = 30_000;
const GOAL_MS = { killed: 4_000, planned: 1_500 } as const;
const LONGEST_PAUSE_MS = 20;
/** The roll call of this deployment is compared with the full quarantine. */
const COMPARED: Deployment = { servers: 3, leases: 0 };
/**
 * 100,000 leases with ten servers are left out: the clients, servers and nodes would be 26 busy processes, and the
 * figures would tell about the machine.
 */
const DEPLOYMENTS: readonly Deployment[] = [
  { servers: 1, leases: 0 },
  COMPARED,
  { servers: 10, leases: 0 },
  { servers: 1, leases: 10_000 },
  { servers: 3, leases: 10_000 },
  { servers: 10, leases: 10_000 },
  { servers: 1, leases: 100_000 },
  { servers: 3, leases: 100_000 },
];
const QUICK_DEPLOYMENTS: readonly Deployment[] = [COMPARED, { servers: 3, leases: 10_000 }];

export interface Deployment {
  readonly servers: number;
  /** Held by streams, the same number at each server. */
  readonly leases: number;
}

interface Round extends Failover {
  /** At the node that became the primary. */
  readonly longestPingMs: number;
}

export interface Rounds {
  readonly killed: readonly Round[];
  readonly planned: readonly Round[];
  /** Leases whose streams were told that they are lost, or have ended. */
  readonly lost: number;
}

export const failover: Scenario = {
  name: 'failover',
  title: `A primary is killed or demoted, down-after ${DOWN_AFTER_MS / 1_000} s, max_ttl 30 s (floor: without a roll call)`,
  async run(rig, { quick }) {
    const found: Found[] = [];
    const floor = await failovers(rig, COMPARED, 'off', quick ? 1 : 3);
    for (const deployment of quick ? QUICK_DEPLOYMENTS : DEPLOYMENTS) {
      const rounds = await failovers(rig, deployment, 'on', quick ? 1 : 5);
      found.push(...figures(deployment, rounds, floor));
    }
    found.push(...(await restarts(rig, quick ? 1 : 3)));
    found.push(...(await etcdFailovers(rig, quick ? 1 : 5)));
    return found;
  },
};

/** Kills the primary of a deployment and demotes its successor, in turn. */
export async function failovers(
  rig: Rig,
  { servers: count, leases }: Deployment,
  rollCall: 'on' | 'off',
  rounds: number,
): Promise<Rounds> {
  const backend = await rig.sentinel(DOWN_AFTER_MS);
  const { cluster } = backend;
  const settings = Array.from({ length: count }, () => ({ LEASEHOLD_REDIS_ROLL_CALL: rollCall }));
  const servers = await rig.leaseholds(backend, settings);
  const streams = Math.floor(leases / count);
  const holders = streams > 0 ? servers.map(() => rig.generator()) : [];
  await Promise.all(
    holders.map((holder, index) =>
      holder.order({ kind: 'hold', address: addressOf(servers[index]), streams, ttlMs: TTL_MS }),
    ),
  );
  const pinger = rig.generator();
  const watch = FailoverWatch.start(cluster, servers);
  const seen: Record<'killed' | 'planned', Round[]> = { killed: [], planned: [] };
  for (let round = 0; round < rounds; round++) {
    for (const kind of ['killed', 'planned'] as const) {
      await cluster.waitUntilWhole();
      const old = await cluster.primary();
      await givePrecedence(
        [...cluster.nodes, ...cluster.sentinels].map(({ process }) => process),
        [pinger.pid],
      );
      await pinger.order({
        kind: 'ping',
        addresses: cluster.nodes.filter((node) => node !== old).map(({ address }) => formatHostPort(address)),
      });
      const moments = await watch.of(kind);
      const { longestMs } = await pinger.order<Pings>({ kind: 'longest-ping' });
      const { address } = await cluster.primary();
      seen[kind].push({ ...moments, longestPingMs: longestMs[formatHostPort(address)] ?? Number.NaN });
      if (kind === 'killed') await old.process.restart();
    }
  }
  let lost = 0;
  for (const holder of holders) {
    lost += (await holder.order<Renewals>({ kind: 'watch', forMs: 1 })).lost;
    await holder.close();
  }
  await pinger.close();
  watch.close();
  await Promise.all(servers.map((server) => server.kill()));
  await cluster.stop();
  return { ...seen, lost };
}

function figures({ servers, leases }: Deployment, rounds: Rounds, floor: Rounds): readonly Found[] {
  const name = `${servers} ${servers === 1 ? 'server' : 'servers'}, ${leases.toLocaleString('en')} leases`;
  const found = (['killed', 'planned'] as const).flatMap((kind): Found[] => {
    const of = (what: (round: Round) => number): number => median(rounds[kind].map(what));
    const floorOf = (what: (round: Round) => number): number => median(floor[kind].map(what));
    const part = (part: string, what: (round: Round) => number): Found => ({
      name: `${name}, ${kind}: ${part}`,
      unit: 'ms',
      value: of(what),
      floor: floorOf(what),
      better: 'less',
    });
    return [
      {
        ...part('first new grant', ({ grantedMs }) => grantedMs),
        ratio: of(({ grantedMs }) => grantedMs) / floorOf(({ grantedMs }) => grantedMs),
        budget: { of: 'value', atMost: GOAL_MS[kind] },
      },
      part('first renewal', ({ renewedMs }) => renewedMs),
      part('a grant by each server', ({ everywhereMs }) => everywhereMs),
      ...(kind === 'killed' ? [part('a client that waits has its lease', ({ clientMs }) => clientMs)] : []),
      part('  until a majority names another', ({ namedMs }) => namedMs),
      part('  then until it is adopted', ({ adoptedMs, namedMs }) => adoptedMs - namedMs),
      part('  then until the quarantine ends', ({ endedMs, adoptedMs }) => endedMs - adoptedMs),
      part('  then until the first grant', ({ grantedMs, endedMs }) => grantedMs - endedMs),
    ];
  });
  console.log(
    `  ${name}: first new grant ${rangeOf(rounds.killed)} after a kill, ${rangeOf(rounds.planned)} planned`,
  );
  const all = [...rounds.killed, ...rounds.planned];
  for (const how of new Set(all.filter(({ isEarly }) => !isEarly).map((round) => round.how))) {
    console.log(`  ${name}: ${how}`);
  }
  const longest = all.toSorted((a, b) => b.longestScriptMs - a.longestScriptMs)[0];
  return [
    ...found,
    {
      name: `${name}: quarantines that ended early`,
      unit: '',
      value: all.filter(({ isEarly }) => isEarly).length / all.length,
      steady: 'value',
      better: 'more',
    },
    {
      name: `${name}: longest script of Redis`,
      unit: 'ms',
      value: longest?.longestScriptMs ?? Number.NaN,
      better: 'less',
    },
    {
      name: `${name}: longest PING at the new primary`,
      unit: 'ms',
      value: Math.max(...all.map(({ longestPingMs }) => longestPingMs)),
      ...(leases > 0 ? { budget: { of: 'value', atMost: LONGEST_PAUSE_MS } } : {}),
      better: 'less',
    },
    ...(leases > 0
      ? [{ name: `${name}: leases lost`, unit: '', value: rounds.lost, better: 'less' as const }]
      : []),
  ];
}

/** Its figure is the median. */
function rangeOf(rounds: readonly Round[]): string {
  const [least, most] = [Math.min, Math.max].map((pick) => pick(...rounds.map(({ grantedMs }) => grantedMs)));
  return `${least?.toFixed(0)} to ${most?.toFixed(0)} ms`;
}

function addressOf(server: ServerProcess | undefined): string {
  if (!server) throw new Error('a holder for each server');
  return formatHostPort(server.address);
}
