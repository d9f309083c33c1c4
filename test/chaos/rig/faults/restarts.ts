// Restarts of nodes before the Sentinels act, with their data or empty, and of servers in turn as for an upgrade.
import { anyOne, chosen, type FaultKind, nothing } from './fault.ts';

/** A primary that is back before any Sentinel missed it: its replicas copy what it has. */
function primaryAtOnce(name: string, detail: string, empty: boolean): FaultKind {
  return {
    name,
    lane: 'failover',
    as: 'kill',
    lastsMs: [0, 0],
    // Even with its data: on a busy disk Redis may put off the write of the last two seconds.
    mayLose: () => true,
    aim: async (rig) => {
      const primary = await rig.primary();
      return {
        targets: [primary],
        taken: [primary],
        detail,
        strike: async () => {
          await primary.kill();
          await (empty ? primary.startEmpty() : primary.start());
        },
        heal: nothing,
      };
    },
  };
}

const primaryEmptyLater: FaultKind = {
  name: 'kill-primary-restart-empty',
  lane: 'failover',
  as: 'kill',
  lastsMs: [4_000, 12_000],
  aim: async (rig) => {
    const primary = await rig.primary();
    return {
      targets: [primary],
      taken: [primary],
      detail: 'SIGKILL, then started without its data when another one rules',
      strike: () => primary.kill(),
      heal: () => primary.startEmpty(),
    };
  },
};

const replicaEmpty: FaultKind = {
  name: 'restart-replica-empty',
  lane: 'failover',
  as: 'kill',
  lastsMs: [0, 2_000],
  choose: anyOne,
  aim: async (rig, options) => {
    const replica = chosen(await rig.replicas(), options);
    return {
      targets: [replica],
      taken: [replica],
      detail: 'SIGKILL, then started without its data',
      strike: () => replica.kill(),
      heal: () => replica.startEmpty(),
    };
  },
};

const rollingRestart: FaultKind = {
  name: 'rolling-restart',
  lane: 'aside',
  lastsMs: [0, 0],
  aim: async (rig) => ({
    targets: rig.servers,
    taken: rig.servers,
    detail: 'each server in turn: SIGTERM, drained, started again on its port',
    strike: async () => {
      for (const server of rig.servers) {
        const wrong = await server.end();
        if (wrong !== undefined) throw new Error(wrong);
        await server.start();
        // As an orchestrator does, which asks for readiness before it goes on; at most as long as it may take.
        await server.answers().catch(() => undefined);
      }
    },
    heal: nothing,
  }),
};

export const RESTART_FAULTS: readonly FaultKind[] = [
  primaryAtOnce('restart-primary', 'SIGKILL and started at once with its data', false),
  primaryAtOnce('restart-primary-empty', 'SIGKILL and started at once without its data', true),
  primaryEmptyLater,
  replicaEmpty,
  rollingRestart,
];
