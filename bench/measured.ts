// What a server and its Redis used during a load. Owns the questions before and after it. The scenario decides what the
// load is and by what to divide the sums.
import type { ServerProcess } from '../test/support/server-process.ts';
import { type Backend, redisUsage, usageOf } from './rig.ts';

export interface Measured<Seen> {
  readonly seen: Seen;
  /** The CPU time of the server's process. */
  readonly cpuUs: number;
  readonly redisCpuUs: number;
  /** Includes the commands that scripts run. */
  readonly redisCommands: number;
}

/** Measures ours and its floor in turn. */
export interface Pair<Sample> {
  readonly ours: Sample;
  readonly floor: Sample;
}

export async function measured<Seen>(
  server: ServerProcess,
  backend: Backend,
  load: () => Promise<Seen>,
): Promise<Measured<Seen>> {
  const [before, redisBefore] = [await usageOf(server), await redisUsage(backend)];
  const seen = await load();
  const [after, redisAfter] = [await usageOf(server), await redisUsage(backend)];
  return {
    seen,
    cpuUs: after.cpuUs - before.cpuUs,
    redisCpuUs: redisAfter.cpuUs - redisBefore.cpuUs,
    redisCommands: redisAfter.commands - redisBefore.commands,
  };
}
