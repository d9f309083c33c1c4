// Operations from begin to complete, and 50 workers that claim operations that others have begun. The floor of the CPU
// time is a call of the bare server, measured in turn with it.
import { formatHostPort } from '../../src/domain/host-port.ts';
import { paired } from '../figures.ts';
import type { Operations } from '../load-order.ts';
import { redisUsage, usageOf } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';
import { sampleServer } from './uncontended.ts';

const WORKERS = 50;
const WARM_UP = 3_000;

interface Sample {
  readonly perSecond: number;
  readonly cpuUsPerCall: number;
  readonly redisCpuUsPerCall: number;
  readonly firstP50Ms: number;
  readonly firstP99Ms: number;
}

export const operations: Scenario = {
  name: 'operations',
  title: 'Operations under 50 workers (floor: an Acquire or Release of the bare server)',
  async run(rig, { quick }) {
    const backend = await rig.redis();
    const leasehold = await rig.leasehold(backend);
    const floor = await rig.floor(backend);
    const generator = rig.generator();
    const address = formatHostPort(leasehold.address);
    const sample = async (mode: 'run' | 'claim', count: number): Promise<Sample> => {
      if (mode === 'claim') await generator.order({ kind: 'fill', address, what: 'operations', count });
      const [before, redisBefore] = [await usageOf(leasehold), await redisUsage(backend)];
      const seen = await generator.order<Operations>({
        kind: 'operations',
        address,
        mode,
        workers: WORKERS,
        count,
      });
      const [after, redisAfter] = [await usageOf(leasehold), await redisUsage(backend)];
      return {
        perSecond: (seen.operations / seen.tookMs) * 1_000,
        cpuUsPerCall: (after.cpuUs - before.cpuUs) / seen.calls,
        redisCpuUsPerCall: (redisAfter.cpuUs - redisBefore.cpuUs) / seen.calls,
        firstP50Ms: seen.firstP50Ms,
        firstP99Ms: seen.firstP99Ms,
      };
    };
    const bare = async (forMs: number): Promise<Sample> => {
      const { cyclesPerSecond, cpuUsPerCall, redisCpuUsPerCall, ...load } = await sampleServer(
        generator,
        backend,
        floor,
        WORKERS,
        forMs,
        'grpc',
      );
      return {
        perSecond: cyclesPerSecond,
        cpuUsPerCall,
        redisCpuUsPerCall,
        firstP50Ms: load.acquireP50Ms,
        firstP99Ms: load.acquireP99Ms,
      };
    };
    const found: Found[] = [];
    await bare(quick ? 1_000 : 3_000);
    for (const mode of ['run', 'claim'] as const) {
      await sample(mode, WARM_UP);
      const pairs: { readonly ours: Sample; readonly floor: Sample }[] = [];
      for (let round = 0; round < (quick ? 3 : 7); round++) {
        const ours = await sample(mode, quick ? 1_500 : 5_000);
        pairs.push({ ours, floor: await bare(quick ? 700 : 2_000) });
      }
      const [what, first] =
        mode === 'run' ? ['begin, update, complete', 'Begin'] : ['claim, complete', 'Claim'];
      const { value: perSecond } = paired(pairs, ({ perSecond: rate }) => rate);
      const { value: p50 } = paired(pairs, ({ firstP50Ms }) => firstP50Ms);
      const { value: p99 } = paired(pairs, ({ firstP99Ms }) => firstP99Ms);
      found.push(
        { name: `${what}: operations`, unit: '1/s', value: perSecond, better: 'more' },
        {
          ...paired(pairs, ({ cpuUsPerCall }) => cpuUsPerCall),
          name: `${what}: server CPU per call`,
          unit: 'us',
          steady: 'ratio',
          better: 'less',
        },
        {
          ...paired(pairs, ({ redisCpuUsPerCall }) => redisCpuUsPerCall),
          name: `${what}: Redis CPU per call`,
          unit: 'us',
          steady: 'ratio',
          better: 'less',
        },
        { name: `${what}: ${first} p50`, unit: 'ms', value: p50, better: 'less' },
        { name: `${what}: ${first} p99`, unit: 'ms', value: p99, better: 'less' },
      );
    }
    return found;
  },
};
