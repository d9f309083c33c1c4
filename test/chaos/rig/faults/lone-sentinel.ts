// A Sentinel that fails over by itself: it is cut off from the others together with the replicas and told to fail over,
// and the others hear of it only later. Meanwhile the servers find no majority for a while, and then one for the old
// primary again.
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../../support/eventually.ts';
import { chosen, type FaultKind, unlessAllMust } from './fault.ts';
import { awakeSentinels } from './promote.ts';

const PROMOTED_WITHIN_MS = 15_000;
const ACCEPTED_WITHIN_MS = 5_000;

export const loneSentinel: FaultKind = {
  name: 'lone-sentinel',
  lane: 'failover',
  lastsMs: [0, 0],
  mayLose: unlessAllMust,
  onlyPlanned: true,
  aim: async (rig, options) => {
    await awakeSentinels(rig);
    const primary = await rig.primary();
    const lone = chosen(rig.sentinels, options);
    const [unheard, ...heard] = rig.sentinels.filter((sentinel) => sentinel !== lone);
    if (unheard === undefined) throw new Error('there are three Sentinels');
    const replicas = rig.nodes.filter((node) => node !== primary);
    const ends: (() => void)[] = [];
    return {
      targets: [primary],
      detail: `${lone.name} alone replaces it, and the servers do not hear ${unheard.name} for a while`,
      strike: async () => {
        ends.push(rig.network.part([lone, ...replicas], [primary, unheard, ...heard]));
        const endSilence = rig.network.hold(rig.servers, [unheard]);
        ends.push(endSilence);
        const { masterName } = rig.cluster;
        await eventually(
          () =>
            lone.call('SENTINEL', 'FAILOVER', masterName).then(
              () => true,
              () => false,
            ),
          { what: `a failover by ${lone.name}`, withinMs: ACCEPTED_WITHIN_MS },
        );
        await eventually(
          async () => {
            const named = await lone.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName);
            return Array.isArray(named) && Number(named[1]) !== primary.member.address.port;
          },
          { what: `another primary by ${lone.name}`, withinMs: PROMOTED_WITHIN_MS },
        );
        // This makes them look again while no majority names a primary.
        await sleep(Number(options.confirmedMs ?? 2_500));
        rig.network.drop(rig.servers, [primary]);
        await sleep(Number(options.silentMs ?? 9_000));
        endSilence();
        await sleep(Number(options.backMs ?? 2_000));
      },
      heal: async () => {
        for (const end of ends) end();
      },
    };
  },
};
