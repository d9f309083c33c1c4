// How long one server of a deployment takes from its start until it grants, after a clean stop and after a crash. The
// floor is the same without a roll call.
import type { ServerProcess } from '../../test/support/server-process.ts';
import { median } from '../figures.ts';
import { untilRegistryIsOld } from '../node-view.ts';
import { answers, type Rig } from '../rig.ts';
import type { Found } from '../scenario.ts';

const SERVERS = [1, 3];
const ENDS = {
  'clean stop': (server: ServerProcess) => server.stop(),
  crash: (server: ServerProcess) => server.kill(),
};
type End = keyof typeof ENDS;

export async function restarts(rig: Rig, rounds: number): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const servers of SERVERS) {
    const ours = await sample(rig, servers, 'on', rounds);
    const floor = await sample(rig, servers, 'off', rounds);
    for (const end of Object.keys(ENDS) as End[]) {
      found.push({
        name: `one of ${servers} restarted after a ${end}: start to its first grant`,
        unit: 'ms',
        value: median(ours[end]),
        floor: median(floor[end]),
        better: 'less',
      });
    }
  }
  return found;
}

async function sample(
  rig: Rig,
  count: number,
  rollCall: 'on' | 'off',
  rounds: number,
): Promise<Record<End, number[]>> {
  const backend = await rig.redis();
  const setting = { LEASEHOLD_REDIS_ROLL_CALL: rollCall };
  const servers = await rig.leaseholds(
    backend,
    Array.from({ length: count }, () => setting),
  );
  await untilRegistryIsOld(backend.redis);
  const took: Record<End, number[]> = { 'clean stop': [], crash: [] };
  let last = servers.at(-1);
  // The crashes come last: for a while, a newcomer that finds the entry of a dead one isn't alone.
  for (const end of Object.keys(ENDS) as End[]) {
    for (let round = 0; round < rounds; round++) {
      if (last) await ENDS[end](last);
      const startedMs = performance.now();
      last = await rig.leasehold(backend, setting);
      await answers(last);
      took[end].push(performance.now() - startedMs);
    }
  }
  for (const server of [...servers.slice(0, -1), ...(last ? [last] : [])]) await server.stop();
  await backend.redis.stop();
  return took;
}
