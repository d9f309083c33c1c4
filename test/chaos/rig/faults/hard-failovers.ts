// Failovers that are hard for a roll call although no data are old: an instance goes with the primary, or dies in the
// middle of its answer; the next failover comes before the early end or just after; the clocks step meanwhile.
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../../support/eventually.ts';
import type { Rig } from '../chaos-rig.ts';
import type { RedisTarget } from '../redis-target.ts';
import { registryOf } from '../registry-lookouts.ts';
import { ALL_NODES, anyOne, chosen, type FaultKind, nothing, unlessAllMust } from './fault.ts';
import { awakeSentinels, startFailover, waitUntilNamed } from './promote.ts';

const REIGN_WITHIN_MS = 20_000;
/** A server that dies keeps the quarantines of the next 21 s whole: these come no more often than others. */
const FAILOVER = { lane: 'failover', lastsMs: [3_000, 12_000] } as const;

/** A host that dies with the primary and an instance on it. */
const host: FaultKind = {
  name: 'kill-primary-and-server',
  ...FAILOVER,
  endsServer: true,
  as: 'kill',
  choose: anyOne,
  aim: async (rig, options) => {
    const primary = await rig.primary();
    const server = chosen(rig.servers, options);
    return {
      targets: [primary, server],
      taken: [primary, server],
      detail: 'SIGKILL of both at once, as when a host dies',
      strike: async () => {
        await Promise.all([primary.kill(), server.kill()]);
      },
      heal: async () => {
        await Promise.all([primary.start(), server.start()]);
      },
    };
  },
};

/** The reign is adopted, and what one of the servers has put back of it may be all, a part or nothing. */
const midAnswer: FaultKind = {
  name: 'kill-server-mid-answer',
  ...FAILOVER,
  endsServer: true,
  as: 'kill',
  choose: (random) => ({ afterMs: random.pick([0, 5, 20, 100]), ...anyOne(random) }),
  aim: async (rig, options) => {
    const primary = await rig.primary();
    const server = chosen(rig.servers, options);
    const afterMs = Number(options.afterMs ?? 0);
    return {
      targets: [primary, server],
      taken: [primary, server],
      detail: `SIGKILL of the primary, and of the server ${afterMs} ms after the new reign began`,
      strike: async () => {
        const before = await reignOf(primary);
        await primary.kill();
        const next = await waitUntilNamed(rig, (named) => named !== primary);
        await eventually(async () => (await reignOf(next)) !== before, {
          what: 'a new reign',
          withinMs: REIGN_WITHIN_MS,
          everyMs: 2,
        }).catch(() => undefined);
        await sleep(afterMs);
        await server.kill();
      },
      heal: async () => {
        await Promise.all([primary.start(), server.start()]);
      },
    };
  },
};

/** The second failover finds the first one's quarantine: before its early end, or just after. */
const twice: FaultKind = {
  name: 'failover-twice',
  lane: 'failover',
  lastsMs: [0, 0],
  weight: 2,
  mayLose: unlessAllMust,
  choose: (random) => ({ gapMs: random.pick([0, 400, 1_500, 4_000]) }),
  aim: async (rig, options) => {
    await awakeSentinels(rig);
    const primary = await rig.primary();
    const gapMs = Number(options.gapMs ?? 0);
    return {
      targets: [primary],
      detail: `SENTINEL FAILOVER, and again ${gapMs} ms after the next one is named`,
      strike: async () => {
        const between = await failOver(rig, primary);
        await sleep(gapMs);
        await failOver(rig, between);
      },
      heal: nothing,
    };
  },
};

async function failOver(rig: Rig, from: RedisTarget): Promise<RedisTarget> {
  await startFailover(rig);
  return waitUntilNamed(rig, (named) => named !== from);
}

/** All clocks step together while there is no primary. */
const stepInFailover: FaultKind = {
  name: 'step-clocks-in-failover',
  lane: 'failover',
  as: 'kill',
  lastsMs: [2_000, 6_000],
  weight: 2,
  clocks: true,
  mayLose: unlessAllMust,
  // A step back is shorter than a quarantine here, since a failover that also loses writes is beyond the bounds then.
  choose: (random) => ({ ms: random.pick([60_000, 8_000, -8_000]), afterMs: random.pick([0, 500, 1_500]) }),
  aim: async (rig, options) => {
    const primary = await rig.primary();
    const [ms, afterMs] = [Number(options.ms ?? 60_000), Number(options.afterMs ?? 500)];
    return {
      targets: [primary, ...ALL_NODES],
      taken: [primary],
      detail: `SIGKILL of the primary, and ${afterMs} ms later all nodes' clocks step by ${ms} ms, for good`,
      strike: async () => {
        await primary.kill();
        await sleep(afterMs);
        await rig.clocks.step(
          rig.nodes.map(({ name }) => name),
          ms,
        );
      },
      heal: () => primary.start(),
    };
  },
};

export const HARD_FAILOVERS: readonly FaultKind[] = [host, midAnswer, twice, stepInFailover];

async function reignOf(node: RedisTarget): Promise<string | undefined> {
  return (await node.member.process.withClient((client) => registryOf(client, node.name)))?.reign;
}
