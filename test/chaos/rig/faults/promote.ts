// Makes the Sentinels promote a given node, as SENTINEL FAILOVER does not let one choose: the other replicas are out of
// their sight meanwhile. Owns that procedure; which node, and why, is the fault's.
import { eventually } from '../../../support/eventually.ts';
import type { RedisTarget } from '../redis-target.ts';
import { NotNow, type Rig } from '../rig.ts';

const SEEN_DOWN_WITHIN_MS = 10_000;
const ACCEPTED_WITHIN_MS = 20_000;
const NAMED_WITHIN_MS = 20_000;

/** Returns when a majority names it. */
export async function promote(rig: Rig, node: RedisTarget): Promise<void> {
  const primary = await rig.primary();
  const others = rig.nodes.filter((other) => other !== node && other !== primary);
  const end = rig.network.hold(rig.sentinels, others);
  try {
    await eventually(() => areSeenDown(rig, others), {
      what: 'the other replicas seen down',
      withinMs: SEEN_DOWN_WITHIN_MS,
      everyMs: 50,
    });
    await startFailover(rig);
    await waitUntilNamed(rig, (named) => named === node);
  } finally {
    end();
  }
}

/** SENTINEL FAILOVER at whichever will: one may still be busy with the last failover, or know no good replica yet. */
export async function startFailover(rig: Rig): Promise<void> {
  await eventually(
    async () => {
      for (const sentinel of freeSentinels(rig)) {
        try {
          await sentinel.call('SENTINEL', 'FAILOVER', rig.cluster.masterName);
          return true;
        } catch {
          // INPROG or NOGOODSLAVE: the next one, or again in a moment.
        }
      }
      return false;
    },
    { what: 'a Sentinel that fails over', withinMs: ACCEPTED_WITHIN_MS, everyMs: 50 },
  );
}

export async function waitUntilNamed(rig: Rig, isIt: (node: RedisTarget) => boolean): Promise<RedisTarget> {
  return eventually(
    async () => {
      const named = await rig.primary();
      return isIt(named) && named;
    },
    { what: 'a majority for the new primary', withinMs: NAMED_WITHIN_MS },
  );
}

function freeSentinels(rig: Rig): readonly RedisTarget[] {
  const free = rig.sentinels.filter((sentinel) => !rig.isTaken(sentinel));
  if (free.length < 2) throw new NotNow('no majority of the Sentinels is there');
  return free;
}

async function areSeenDown(rig: Rig, nodes: readonly RedisTarget[]): Promise<boolean> {
  for (const sentinel of freeSentinels(rig)) {
    const answer = await sentinel.call('SENTINEL', 'REPLICAS', rig.cluster.masterName);
    // Each replica as a flat list of names and values.
    const flags = (Array.isArray(answer) ? answer : []).flatMap((fields: unknown) => {
      const words = Array.isArray(fields) ? fields.map(String) : [];
      const port = Number(words[words.indexOf('port') + 1]);
      return nodes.some(({ member }) => member.address.port === port)
        ? [words[words.indexOf('flags') + 1] ?? '']
        : [];
    });
    if (!flags.every((text) => text.includes('s_down'))) return false;
  }
  return true;
}
