// What it costs to wait until a replica has each change: the same server with `replicated` and with `async`, on a
// primary with two replicas and three Sentinels.
import { paired } from '../figures.ts';
import type { Scenario } from '../scenario.ts';
import { type Sample, sampleServer } from './uncontended.ts';

const CALLERS = 256;

export const durability: Scenario = {
  name: 'durability',
  title: 'Acquire and Release with 256 callers, replicated against async (in the column of the floor)',
  async run(rig, { quick }) {
    const backend = await rig.sentinel();
    const servers = await rig.leaseholds(
      backend,
      ['replicated', 'async'].map((durability) => ({ LEASEHOLD_REDIS_DURABILITY: durability })),
    );
    const [replicated, asynchronous] = servers;
    if (!replicated || !asynchronous) throw new Error('two servers were started');
    const generator = rig.generator();
    const warmUpMs = quick ? 1_500 : 5_000;
    for (const server of servers) {
      await sampleServer(generator, backend, server, CALLERS, warmUpMs);
    }
    const pairs: { readonly ours: Sample; readonly floor: Sample }[] = [];
    for (let round = 0; round < (quick ? 5 : 9); round++) {
      const ours = await sampleServer(generator, backend, replicated, CALLERS, quick ? 700 : 2_500);
      pairs.push({
        ours,
        floor: await sampleServer(generator, backend, asynchronous, CALLERS, quick ? 700 : 2_500),
      });
    }
    return [
      {
        ...paired(pairs, (sample) => sample.cyclesPerSecond),
        name: 'cycles',
        unit: '1/s',
        budget: { of: 'ratio', atLeast: 0.7 },
        steady: 'ratio',
        better: 'more',
      },
      {
        ...paired(pairs, (sample) => sample.cpuUsPerCall),
        name: 'server CPU per call',
        unit: 'us',
        steady: 'ratio',
        better: 'less',
      },
      {
        ...paired(pairs, (sample) => sample.acquireP50Ms),
        name: 'Acquire p50',
        unit: 'ms',
        better: 'less',
      },
    ];
  },
};
