// Faults of the nodes' clocks: steps of all at once, and replicas that are ahead when they are promoted. The stated
// bounds: all nodes within 2 s of each other, and at most one step forward in the life of a lease.
import {
  ALL_NODES,
  anyOne,
  chosen,
  type FaultKind,
  type FaultOptions,
  nothing,
  unlessAllMust,
} from './fault.ts';
import { awakeSentinels, promote } from './promote.ts';

const together: FaultKind = {
  name: 'step-clocks',
  lane: 'failover',
  lastsMs: [0, 0],
  clocks: true,
  // If the Sentinels step too, they go into TILT: for 30 s none of them fails over.
  choose: (random) => ({ ms: random.pick([60_000, -60_000]), sentinels: random.chance(0.3) }),
  aim: async (rig, options) => {
    const stepped = options.sentinels === true ? [...rig.nodes, ...rig.sentinels] : rig.nodes;
    const ms = Number(options.ms ?? 60_000);
    return {
      targets: options.sentinels === true ? [...ALL_NODES, ...rig.sentinels] : ALL_NODES,
      detail: `their clocks step by ${ms} ms, together, for good`,
      strike: () =>
        rig.clocks.step(
          stepped.map(({ name }) => name),
          ms,
        ),
      heal: nothing,
    };
  },
};

/** A replica whose clock is ahead takes over. */
function skewedReplica(
  name: string,
  aheadMs: (options: FaultOptions) => number,
  more: Partial<FaultKind>,
): FaultKind {
  return {
    name,
    lane: 'failover',
    lastsMs: [0, 0],
    clocks: true,
    mayLose: unlessAllMust,
    ...more,
    aim: async (rig, options) => {
      await awakeSentinels(rig);
      const replica = chosen(await rig.replicas(), options);
      const ms = aheadMs(options);
      return {
        targets: [replica],
        detail: `its clock is ${ms} ms off when it is promoted`,
        strike: async () => {
          await rig.clocks.step([replica.name], ms);
          await promote(rig, replica);
        },
        heal: () => rig.clocks.step([replica.name], -ms),
      };
    },
  };
}

const alone: FaultKind = {
  name: 'step-one-clock',
  lane: 'failover',
  lastsMs: [4_000, 10_000],
  clocks: true,
  beyondBounds: 'one node’s clock steps away from the others',
  choose: (random) => ({
    ms: random.pick([60_000, -60_000]),
    primary: random.chance(0.5),
    ...anyOne(random),
  }),
  aim: async (rig, options) => {
    const node = options.primary === true ? await rig.primary() : chosen(await rig.replicas(), options);
    const ms = Number(options.ms ?? 60_000);
    return {
      targets: [node],
      detail: `its clock alone steps by ${ms} ms, and back`,
      strike: () => rig.clocks.step([node.name], ms),
      heal: () => rig.clocks.step([node.name], -ms),
    };
  },
};

export const CLOCK_FAULTS: readonly FaultKind[] = [
  together,
  skewedReplica('promote-skewed-replica', ({ ms }) => Number(ms ?? 1_500), {
    lastsMs: [2_000, 10_000],
    choose: (random) => ({ ms: random.pick([1_500, -1_500]), ...anyOne(random) }),
  }),
  skewedReplica('promote-replica-far-ahead', () => 10_000, {
    lastsMs: [8_000, 12_000],
    beyondBounds: 'the new primary’s clock is 10 s ahead of the old one’s',
    choose: anyOne,
  }),
  alone,
];
