// What happens inside a Redis that goes on: it forgets its scripts, or its memory is full.
import { eventually } from '../../../support/eventually.ts';
import { NotNow } from '../chaos-rig.ts';
import { ALL_NODES, type FaultKind, nothing } from './fault.ts';

const HEALS_WITHIN_MS = 60_000;

const scriptFlush: FaultKind = {
  name: 'script-flush',
  lane: 'aside',
  lastsMs: [0, 0],
  aim: async (rig) => ({
    targets: ALL_NODES,
    detail: 'SCRIPT FLUSH on each that answers',
    strike: async () => {
      await Promise.allSettled(rig.nodes.map((node) => node.call('SCRIPT', 'FLUSH')));
    },
    heal: nothing,
  }),
};

const full: FaultKind = {
  name: 'memory-full',
  lane: 'aside',
  lastsMs: [1_000, 8_000],
  aim: async (rig) => {
    const primary = await rig.primary();
    return {
      targets: [primary],
      detail: 'maxmemory is less than what it uses',
      strike: async () => {
        // The Sentinels still name a primary that another fault has just killed.
        await primary.call('CONFIG', 'SET', 'maxmemory', '1mb').catch((error: Error) => {
          throw new NotNow(`${primary.name}: ${error.message}`);
        });
      },
      // A failover writes the settings that it finds into the file of the node, so a node that is down comes back with
      // them.
      heal: async () => {
        await eventually(
          async () => {
            await Promise.all(rig.nodes.map((node) => node.call('CONFIG', 'SET', 'maxmemory', '0')));
          },
          { what: 'memory for all nodes', withinMs: HEALS_WITHIN_MS },
        );
      },
    };
  },
};

export const STATE_FAULTS: readonly FaultKind[] = [scriptFlush, full];
