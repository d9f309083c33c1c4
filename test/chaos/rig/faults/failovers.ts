// Failovers that no crash caused: planned ones, back to a former primary, and back to one that was isolated and never
// demoted, which keeps its replication id.
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../../support/eventually.ts';
import type { RedisTarget } from '../redis-target.ts';
import { type FaultKind, nothing, unlessAllMust } from './fault.ts';
import { awakeSentinels, promote, startFailover, waitUntilNamed } from './promote.ts';

const BACK_WITHIN_MS = 20_000;

const PLANNED = { lane: 'failover', lastsMs: [0, 0], mayLose: unlessAllMust } as const;

const failover: FaultKind = {
  name: 'failover',
  ...PLANNED,
  aim: async (rig) => {
    await awakeSentinels(rig);
    const primary = await rig.primary();
    return {
      targets: [primary],
      detail: 'SENTINEL FAILOVER',
      strike: async () => {
        await startFailover(rig);
        await waitUntilNamed(rig, (named) => named !== primary);
      },
      heal: nothing,
    };
  },
};

const failback: FaultKind = {
  name: 'failback',
  ...PLANNED,
  aim: async (rig) => {
    await awakeSentinels(rig);
    const primary = await rig.primary();
    const [replica] = await rig.replicas();
    return {
      targets: [primary, replica],
      detail: `${replica.name} is promoted, then ${primary.name} again`,
      strike: async () => {
        await promote(rig, replica);
        // A node that the Sentinels have just demoted can be promoted once it follows.
        await eventually(() => follows(primary, replica), {
          what: `${primary.name} as a replica`,
          withinMs: BACK_WITHIN_MS,
        });
        await promote(rig, primary);
      },
      heal: nothing,
    };
  },
};

const failbackUndemoted: FaultKind = {
  name: 'failback-undemoted',
  ...PLANNED,
  // Before and after the reign in between has ended its quarantine early.
  choose: (random) => ({ betweenMs: random.pick([0, 1_500, 6_000]) }),
  aim: async (rig, options) => {
    await awakeSentinels(rig);
    const primary = await rig.primary();
    const others = [...rig.nodes, ...rig.sentinels].filter((party) => party !== primary);
    let end = (): void => undefined;
    return {
      targets: [primary],
      detail: `${primary.name} is isolated from Redis until another one is named, then promoted again as it is`,
      strike: async () => {
        end = rig.network.part([primary], others);
        const between = await waitUntilNamed(rig, (named) => named !== primary);
        await sleep(Number(options.betweenMs ?? 0));
        const third = rig.nodes.filter((node) => node !== primary && node !== between);
        // This makes it the only choice: the Sentinels would demote it some 8 s after they see it again.
        const endOfThird = rig.network.hold(rig.sentinels, third);
        try {
          end();
          await startFailover(rig, third);
          await waitUntilNamed(rig, (named) => named === primary);
        } finally {
          endOfThird();
        }
      },
      heal: async () => end(),
    };
  },
};

export const FAILOVER_FAULTS: readonly FaultKind[] = [failover, failback, failbackUndemoted];

async function follows(node: RedisTarget, primary: RedisTarget): Promise<boolean> {
  const state = await node.member.process.info('replication');
  return (
    Number(state.get('master_port')) === primary.member.address.port &&
    state.get('master_link_status') === 'up'
  );
}
