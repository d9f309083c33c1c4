// Replicas whose data are old when they are promoted: held back for a while, or started from an old file. What the
// new primary lacks was told by the servers, some of which come, go or die meanwhile. Owns how a laggard is made, and
// how it becomes the only choice of the Sentinels.
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../../support/eventually.ts';
import { NotNow, type Rig } from '../chaos-rig.ts';
import type { RedisTarget } from '../redis-target.ts';
import type { ServerTarget } from '../server-target.ts';
import { anyOne, chosen, type FaultKind, unlessAllMust } from './fault.ts';
import { awakeSentinels, untilOnlyChoice, waitUntilNamed } from './promote.ts';

const FOLLOWS_WITHIN_MS = 20_000;

/** What else happens: to a server while the replica is held back, or right before the primary is killed. */
interface Meanwhile {
  readonly detail: string;
  readonly weight?: number;
  readonly endsServer?: boolean;
  /** Returns what heals it. */
  readonly early?: (server: ServerTarget) => Promise<() => Promise<void>>;
  readonly late?: (server: ServerTarget) => Promise<() => Promise<void>>;
}

const nobody: Meanwhile = { detail: '', weight: 2 };

/** The instance that told the last answers doesn't live to put them back. */
const tellerDies: Meanwhile = {
  detail: ', after the server that told the last answers',
  endsServer: true,
  late: async (server) => {
    await server.kill();
    return () => server.start();
  },
};

/** One instance is gone and another one registered, and the laggard has heard of neither. */
const comesAndGoes: Meanwhile = {
  detail: ', while a server is replaced',
  endsServer: true,
  early: async (server) => {
    await server.kill();
    await server.start();
    return async () => undefined;
  },
};

/** Its entry in the laggard's data is as old as those data. */
const freezes: Meanwhile = {
  detail: ', while a server stands still',
  weight: 2,
  early: async (server) => {
    await server.pause();
    return () => server.resume();
  },
};

function laggard(name: string, meanwhile: Meanwhile): FaultKind {
  return {
    name,
    lane: 'failover',
    as: 'kill',
    lastsMs: [2_000, 8_000],
    ...(meanwhile.weight && { weight: meanwhile.weight }),
    ...(meanwhile.endsServer && { endsServer: true }),
    mayLose: unlessAllMust,
    // Data are too old for an early end from 8 s on here, of which the failover itself takes some 4 s.
    choose: (random) => ({ lagMs: random.pick([400, 1_200, 2_500, 4_000, 12_000]), ...anyOne(random) }),
    aim: async (rig, options) => {
      await awakeSentinels(rig);
      const primary = await rig.primary();
      const replica = chosen(await rig.replicas(), options);
      const server = chosen(rig.servers, options);
      const lagMs = Number(options.lagMs ?? 2_000);
      const ends: (() => void)[] = [];
      let healServer = async (): Promise<void> => undefined;
      const isStruck = meanwhile.early !== undefined || meanwhile.late !== undefined;
      const struck = isStruck ? [server] : [];
      return {
        targets: [primary, replica, ...struck],
        taken: [primary, ...struck],
        detail: `${replica.name} is held back for ${lagMs} ms, then ${primary.name} is killed${meanwhile.detail}`,
        strike: async () => {
          ends.push(rig.network.hold([replica], [primary], 'replies'));
          if (meanwhile.early) healServer = await meanwhile.early(server);
          await sleep(lagMs);
          if (meanwhile.late) healServer = await meanwhile.late(server);
          await killInFavourOf(rig, primary, replica, ends);
          ends.shift()?.();
        },
        heal: async () => {
          for (const end of ends) end();
          await Promise.all([primary.start(), healServer()]);
        },
      };
    },
  };
}

/** Kills the primary while the Sentinels see this replica alone, and waits until they name it. */
async function killInFavourOf(
  rig: Rig,
  primary: RedisTarget,
  replica: RedisTarget,
  ends: (() => void)[],
): Promise<void> {
  const others = rig.nodes.filter((node) => node !== primary && node !== replica);
  const endHiding = rig.network.hold(rig.sentinels, others);
  ends.push(endHiding);
  await untilOnlyChoice(rig, replica, others);
  await primary.kill();
  await waitUntilNamed(rig, (named) => named === replica);
  endHiding();
}

/** The file of a primary that is back before any Sentinel missed it. */
const primaryOldFile: FaultKind = {
  name: 'restart-primary-old-file',
  lane: 'failover',
  as: 'kill',
  lastsMs: [0, 0],
  weight: 2,
  mayLose: () => true,
  choose: (random) => ({ keptMs: random.pick([1_500, 4_000, 11_000]) }),
  aim: async (rig, options) => {
    const primary = await rig.primary();
    const keptMs = Number(options.keptMs ?? 4_000);
    return {
      targets: [primary],
      taken: [primary],
      detail: `SIGKILL, and started at once with its file of ${keptMs} ms before`,
      strike: async () => {
        await keepFile(primary);
        await sleep(keptMs);
        await primary.startOld();
      },
      heal: async () => undefined,
    };
  },
};

const replicaOldFile: FaultKind = {
  name: 'promote-replica-old-file',
  lane: 'failover',
  as: 'kill',
  lastsMs: [2_000, 8_000],
  weight: 2,
  mayLose: () => true,
  choose: (random) => ({ keptMs: random.pick([1_500, 4_000, 11_000]), ...anyOne(random) }),
  aim: async (rig, options) => {
    await awakeSentinels(rig);
    const primary = await rig.primary();
    const replica = chosen(await rig.replicas(), options);
    const keptMs = Number(options.keptMs ?? 4_000);
    const ends: (() => void)[] = [];
    return {
      targets: [primary, replica],
      taken: [primary, replica],
      detail: `${replica.name} starts with its file of ${keptMs} ms before, then ${primary.name} is killed`,
      strike: async () => {
        await keepFile(replica);
        await sleep(keptMs);
        // It must not copy what the primary has.
        ends.push(rig.network.hold([replica], [primary]));
        await replica.startOld();
        await killInFavourOf(rig, primary, replica, ends);
        ends.shift()?.();
      },
      heal: async () => {
        for (const end of ends) end();
        await primary.start();
        await eventually(async () => (await replica.call('PING')) === 'PONG', {
          what: `an answer of ${replica.name}`,
          withinMs: FOLLOWS_WITHIN_MS,
        });
      },
    };
  },
};

async function keepFile(node: RedisTarget): Promise<void> {
  await node.keepFile().catch((error: Error) => {
    throw new NotNow(error.message);
  });
}

export const LAGGARD_FAULTS: readonly FaultKind[] = [
  laggard('promote-laggard', nobody),
  laggard('promote-laggard-without-teller', tellerDies),
  laggard('promote-laggard-unknown-server', comesAndGoes),
  laggard('promote-laggard-frozen-server', freezes),
  primaryOldFile,
  replicaOldFile,
];
