// Who cannot reach whom: whole partitions, partitions that leave some parties together, and partitions that hold one
// direction only.

import type { Rig } from '../chaos-rig.ts';
import type { Party } from '../network.ts';
import type { SeededRandom } from '../random.ts';
import {
  ALL_NODES,
  anyOne,
  chosen,
  type FaultKind,
  type FaultOptions,
  nothing,
  unlessAllMust,
} from './fault.ts';

interface Sides {
  readonly targets: readonly Party[];
  readonly side: readonly Party[];
  readonly otherSide: readonly Party[];
}

type Terms = Omit<FaultKind, 'aim'> & {
  readonly sides: (rig: Rig, options: FaultOptions) => Promise<Sides>;
};

function parted({ sides, ...kind }: Terms): FaultKind {
  return {
    ...kind,
    aim: async (rig, options) => {
      const { targets, side, otherSide } = await sides(rig, options);
      let end = (): void => undefined;
      return {
        targets,
        detail: `{${named(side)}} | {${named(otherSide)}}`,
        strike: async () => {
          end = rig.network.part(side, otherSide);
        },
        heal: async () => end(),
      };
    },
  };
}

/** Cut off from all other parties. */
async function apart(rig: Rig, side: readonly Party[], others = rig.backstage): Promise<Sides> {
  return { targets: side, side, otherSide: others.filter((party) => !side.includes(party)) };
}

/** Requests or replies of some callers of the primary are held, and the other direction flows. */
const oneWay: FaultKind = {
  name: 'one-way',
  lane: 'failover',
  lastsMs: [2_000, 10_000],
  mayLose: unlessAllMust,
  choose: (random) => ({
    callers: random.pick(['servers', 'one-server', 'sentinels', 'replicas', 'one-replica']),
    held: random.pick(['requests', 'replies']),
    ...anyOne(random),
  }),
  aim: async (rig, options) => {
    const primary = await rig.primary();
    const callers = await callersOf(rig, options);
    const held = options.held === 'requests' ? 'requests' : 'replies';
    let end = (): void => undefined;
    return {
      targets: [primary],
      detail: `${held} between {${named(callers)}} and ${primary.name}`,
      strike: async () => {
        end = rig.network.hold(callers, [primary], held);
      },
      heal: async () => end(),
    };
  },
};

async function callersOf(rig: Rig, options: FaultOptions): Promise<readonly Party[]> {
  switch (options.callers) {
    case 'servers':
      return rig.servers;
    case 'one-server':
      return [chosen(rig.servers, options)];
    case 'sentinels':
      return rig.sentinels;
    case 'one-replica':
      return [chosen(await rig.replicas(), options)];
    default:
      return rig.replicas();
  }
}

const slowLinks: FaultKind = {
  name: 'slow-links',
  lane: 'aside',
  lastsMs: [2_000, 8_000],
  stays: { mayProgress: true },
  // Each way: 250 ms make a round trip of half a second, 500 ms one that no command survives.
  choose: (random: SeededRandom) => ({ ms: random.pick([20, 100, 250, 500]) }),
  aim: async (rig, options) => {
    const ms = Number(options.ms ?? 20);
    // What a primary sends to its replicas are replies on their connections.
    const isReplication = options.of === 'replication';
    let end = (): void => undefined;
    return {
      targets: ALL_NODES,
      detail: isReplication ? `${ms} ms from primary to replica` : `${ms} ms each way to every node`,
      strike: async () => {
        end = isReplication
          ? rig.network.delay(rig.nodes, ms, { callers: rig.nodes, of: 'replies' })
          : rig.network.delay(rig.nodes, ms);
      },
      heal: async () => end(),
    };
  },
};

const cutMidReply: FaultKind = {
  name: 'cut-mid-reply',
  lane: 'aside',
  lastsMs: [100, 800],
  choose: (random) => ({ between: random.pick(['servers-redis', 'clients-server']), ...anyOne(random) }),
  aim: async (rig, options) => {
    const [callers, callee] =
      options.between === 'clients-server'
        ? [rig.clients, chosen(rig.servers, options)]
        : [
            options.callers === 'one-server' ? [chosen(rig.servers, options)] : rig.servers,
            await rig.primary(),
          ];
    let end = (): void => undefined;
    return {
      targets: [callee],
      detail: `replies of ${callee.name} are held, then their connections break`,
      strike: async () => {
        end = rig.network.hold(callers, [callee], 'replies');
      },
      heal: async () => {
        rig.network.drop(callers, [callee]);
        end();
      },
    };
  },
};

const dropConnections: FaultKind = {
  name: 'drop-connections',
  lane: 'aside',
  lastsMs: [0, 0],
  aim: async (rig) => ({
    targets: rig.servers,
    detail: 'all connections of servers to nodes and Sentinels break',
    strike: async () => rig.network.drop(rig.servers, [...rig.nodes, ...rig.sentinels]),
    heal: nothing,
  }),
};

const FAILOVER = { lane: 'failover', lastsMs: [3_000, 14_000] } as const;
const ASIDE = { lane: 'aside', lastsMs: [1_000, 10_000], choose: anyOne } as const;

export const PARTITION_FAULTS: readonly FaultKind[] = [
  parted({ name: 'isolate-primary', ...FAILOVER, sides: async (rig) => apart(rig, [await rig.primary()]) }),
  parted({
    name: 'isolate-primary-from-redis',
    ...FAILOVER,
    sides: async (rig) => apart(rig, [await rig.primary()], [...rig.nodes, ...rig.sentinels]),
  }),
  parted({
    name: 'isolate-primary-from-sentinels',
    ...FAILOVER,
    mayLose: unlessAllMust,
    sides: async (rig) => apart(rig, [await rig.primary()], rig.sentinels),
  }),
  parted({
    name: 'isolate-primary-with-server',
    ...FAILOVER,
    choose: anyOne,
    sides: async (rig, options) => apart(rig, [await rig.primary(), chosen(rig.servers, options)]),
  }),
  // The other side has never heard of what the old primary's side acknowledges.
  parted({
    name: 'split-brain',
    ...FAILOVER,
    choose: anyOne,
    mayLose: unlessAllMust,
    sides: async (rig, options) => {
      const replica = chosen(await rig.replicas(), options);
      return apart(rig, [await rig.primary(), replica, chosen(rig.servers, options)]);
    },
  }),
  parted({
    name: 'isolate-replica',
    ...FAILOVER,
    choose: anyOne,
    stays: { mayProgress: true },
    sides: async (rig, options) => apart(rig, [chosen(await rig.replicas(), options)]),
  }),
  parted({
    name: 'isolate-sentinels',
    ...FAILOVER,
    choose: anyOne,
    stays: { mayProgress: false },
    sides: async (rig, options) => {
      const spared = chosen(rig.sentinels, options);
      return apart(
        rig,
        rig.sentinels.filter((sentinel) => sentinel !== spared),
      );
    },
  }),
  parted({
    name: 'isolate-server',
    ...ASIDE,
    stays: { mayProgress: true },
    sides: async (rig, options) => apart(rig, [chosen(rig.servers, options)]),
  }),
  parted({
    name: 'cut-clients-from-server',
    ...ASIDE,
    stays: { mayProgress: true },
    choose: (random) => ({ ...anyOne(random), clients: random.between(1, 10) }),
    sides: async (rig, options) => {
      const clients = rig.clients.slice(0, Number(options.clients ?? rig.clients.length));
      return { targets: clients, side: clients, otherSide: [chosen(rig.servers, options)] };
    },
  }),
  oneWay,
  slowLinks,
  cutMidReply,
  dropConnections,
];

/** Clients only as their number; the targets name each that is cut off. */
function named(parties: readonly Party[]): string {
  const names = parties.filter(({ proxy }) => proxy !== undefined).map(({ name }) => name);
  const clients = parties.length - names.length;
  return [...names, ...(clients > 0 ? [`${clients} clients`] : [])].join(', ');
}
