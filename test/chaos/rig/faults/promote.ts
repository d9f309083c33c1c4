// Makes the Sentinels promote a given node. SENTINEL FAILOVER lets nobody choose, so the other replicas are out of
// their sight meanwhile. Owns that procedure; the fault decides which node, and why. It is NotNow where the Sentinels
// refuse because other faults are at work: the Sentinels are not what is tested.
import { eventually } from '../../../support/eventually.ts';
import { NotNow, type Rig } from '../chaos-rig.ts';
import type { RedisTarget } from '../redis-target.ts';

const ACCEPTED_WITHIN_MS = 20_000;
const NAMED_WITHIN_MS = 20_000;

/** Returns when a majority names it. */
export async function promote(rig: Rig, node: RedisTarget): Promise<void> {
  const primary = await rig.primary();
  const others = rig.nodes.filter((other) => other !== node && other !== primary);
  const end = rig.network.hold(rig.sentinels, others);
  try {
    await startFailover(rig, others);
    await waitUntilNamed(rig, (named) => named === node);
  } finally {
    end();
  }
}

/**
 * Sends SENTINEL FAILOVER to a Sentinel that sees these replicas as down: another one may still be busy, or know no
 * good replica.
 */
export async function startFailover(rig: Rig, seenDown: readonly RedisTarget[] = []): Promise<void> {
  await orNotNow(
    async () => {
      for (const sentinel of await awakeSentinels(rig)) {
        if (!(await seesDown(rig, sentinel, seenDown))) continue;
        try {
          await sentinel.call('SENTINEL', 'FAILOVER', rig.cluster.masterName);
          return true;
        } catch {
          // INPROG or NOGOODSLAVE: the next Sentinel is asked, or the same again in a moment.
        }
      }
      return false;
    },
    { what: 'a Sentinel that fails over', withinMs: ACCEPTED_WITHIN_MS, everyMs: 50 },
  );
}

export function waitUntilNamed(rig: Rig, isIt: (node: RedisTarget) => boolean): Promise<RedisTarget> {
  return orNotNow(
    async () => {
      const named = await rig.primary();
      return isIt(named) && named;
    },
    { what: 'a majority for the new primary', withinMs: NAMED_WITHIN_MS },
  );
}

/** Waits until the Sentinels that act see this node as up and these as down, so that it is their only choice. */
export async function untilOnlyChoice(
  rig: Rig,
  node: RedisTarget,
  hidden: readonly RedisTarget[],
): Promise<void> {
  await orNotNow(
    async () => {
      const sentinels = await awakeSentinels(rig);
      const views = await Promise.all(
        sentinels.map(async (sentinel) => {
          const isSeen = !(await seesDown(rig, sentinel, [node], /s_down|disconnected/));
          return isSeen && (await seesDown(rig, sentinel, hidden));
        }),
      );
      return views.every((isOnly) => isOnly);
    },
    { what: `${node.name} as the only choice`, withinMs: ACCEPTED_WITHIN_MS, everyMs: 50 },
  );
}

/** The Sentinels that act: after a leap of time, such as a freeze, a Sentinel only watches for 30 s (TILT). */
export async function awakeSentinels(rig: Rig): Promise<readonly RedisTarget[]> {
  const free = rig.sentinels.filter((sentinel) => !rig.isTaken(sentinel));
  const infos = await Promise.all(
    free.map(({ member }) => member.process.info('sentinel').catch(() => undefined)),
  );
  const awake = free.filter((_, index) => infos[index]?.get('sentinel_tilt') === '0');
  if (awake.length < 2) throw new NotNow('no majority of the Sentinels is awake');
  return awake;
}

async function orNotNow<T>(
  attempt: () => Promise<T>,
  options: Parameters<typeof eventually>[1],
): Promise<Exclude<T, false>> {
  try {
    return await eventually(attempt, options);
  } catch (error) {
    throw new NotNow(error instanceof Error ? error.message : String(error));
  }
}

async function seesDown(
  rig: Rig,
  sentinel: RedisTarget,
  nodes: readonly RedisTarget[],
  down = /s_down/,
): Promise<boolean> {
  const answer = await sentinel.call('SENTINEL', 'REPLICAS', rig.cluster.masterName);
  // Each replica as a flat list of names and values.
  const replicas = (Array.isArray(answer) ? answer : []).map((fields: unknown) => {
    const words = Array.isArray(fields) ? fields.map(String) : [];
    const field = (name: string): string => words[words.indexOf(name) + 1] ?? '';
    return { port: Number(field('port')), flags: field('flags') };
  });
  return nodes.every(({ member }) =>
    replicas.some(({ port, flags }) => port === member.address.port && down.test(flags)),
  );
}
