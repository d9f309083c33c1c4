// What a server and its Redis used up while a load went on. Owns the question before and after; what the load is, and
// by what the sums are divided, is the scenario's business.
import type { ServerProcess } from '../test/support/server-process.ts';
import { type Backend, redisUsage, usageOf } from './rig.ts';

export interface Measured<Seen> {
  readonly seen: Seen;
  /** Of the server's process. */
  readonly cpuUs: number;
  readonly redisCpuUs: number;
  /** Those that scripts run included. */
  readonly redisCommands: number;
}

/** Ours and its floor, in turn. */
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
