// What each layer adds: a bare HTTP/2 server, gRPC on it, a Redis script behind it (the floor), and Leasehold, all
// under the same load and in turn. The load is our own; h2load, ghz and redis-benchmark make some, too, if they are
// installed.

import { formatHostPort } from '../../src/domain/host-port.ts';
import type { ServerProcess } from '../../test/support/server-process.ts';
import { median } from '../figures.ts';
import { type Program, program } from '../peers/installed.ts';
import { byGhz, byH2load, byRedisBenchmark, type ToolLoad } from '../peers/load-tools.ts';
import { type Backend, redisUsage, usageOf } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';
import { type Sample, sampleServer } from './uncontended.ts';

interface Step {
  readonly name: string;
  readonly server: ServerProcess;
  readonly samples: Sample[];
}

const STEPS = ['node:http2', 'grpc-js', 'the floor', 'Leasehold'];

export const ladder: Scenario = {
  name: 'ladder',
  title: 'Step by step from a bare server to Leasehold (floor: the step before)',
  async run(rig, { quick }) {
    const backend = await rig.redis();
    const servers = [
      await rig.answering('http2'),
      await rig.answering('echo'),
      await rig.floor(backend),
      await rig.leasehold(backend),
    ];
    const generator = rig.generator();
    const forMs = quick ? 500 : 2_500;
    const found: Found[] = [];
    for (const server of servers) await sampleServer(generator, backend, server, 64, quick ? 1_000 : 5_000);
    for (const callers of quick ? [64] : [64, 256]) {
      const steps = servers.map((server, index): Step => ({ name: STEPS[index] ?? '', server, samples: [] }));
      for (let round = 0; round < 5; round++) {
        for (const { server, samples } of steps) {
          samples.push(await sampleServer(generator, backend, server, callers, forMs));
        }
      }
      found.push(...figures(callers, steps));
    }
    const load = { callers: 64, calls: quick ? 10_000 : 50_000 };
    const tools = [
      { name: 'h2load', run: byH2load, at: servers },
      // Each of its calls takes another lock, so it runs only on the steps that have locks.
      { name: 'ghz', run: byGhz, at: servers.slice(2) },
    ] as const;
    for (const { name, run, at } of tools) {
      const tool = await program(name);
      if (!tool) continue;
      for (const server of at) {
        const step = STEPS[servers.indexOf(server)];
        const under = (address: string): Promise<ToolLoad> => run(tool, address, load);
        found.push(...(await underTool(`${name}, ${step}`, backend, server, under)));
      }
    }
    const benchmark = await program('redis-benchmark');
    if (benchmark) found.push(...(await straightToRedis(benchmark, backend, load)));
    return found;
  },
};

function figures(callers: number, steps: readonly Step[]): readonly Found[] {
  return steps.flatMap(({ name, samples }, index): Found[] => {
    const before = steps[index - 1]?.samples;
    const of = (part: (sample: Sample) => number) => {
      const value = median(samples.map(part));
      if (!before) return { value };
      const ratios = samples.map((sample, round) => {
        const other = before[round];
        return other ? part(sample) / part(other) : Number.NaN;
      });
      return { value, floor: median(before.map(part)), ratio: median(ratios) };
    };
    return [
      {
        ...of(({ cpuUsPerCall }) => cpuUsPerCall),
        name: `${callers} callers, ${name}: server CPU per call`,
        unit: 'us',
        better: 'less',
      },
      {
        ...of(({ cyclesPerSecond }) => 2 * cyclesPerSecond),
        name: `${callers} callers, ${name}: calls`,
        unit: '1/s',
        better: 'more',
      },
    ];
  });
}

async function underTool(
  name: string,
  backend: Backend,
  server: ServerProcess,
  run: (address: string) => Promise<ToolLoad>,
): Promise<readonly Found[]> {
  const [before, redisBefore] = [await usageOf(server), await redisUsage(backend)];
  const { calls, tookMs } = await run(formatHostPort(server.address));
  const [after, redisAfter] = [await usageOf(server), await redisUsage(backend)];
  const redisCpuUs = redisAfter.cpuUs - redisBefore.cpuUs;
  return [
    { name: `load by ${name}: calls`, unit: '1/s', value: (calls / tookMs) * 1_000, better: 'more' },
    {
      name: `load by ${name}: server CPU per call`,
      unit: 'us',
      value: (after.cpuUs - before.cpuUs) / calls,
      better: 'less',
    },
    ...(redisCpuUs / calls < 1 // this step runs no scripts
      ? []
      : [
          {
            name: `load by ${name}: Redis CPU per call`,
            unit: 'us',
            value: redisCpuUs / calls,
            better: 'less' as const,
          },
        ]),
  ];
}

async function straightToRedis(
  benchmark: Program,
  backend: Backend,
  load: { readonly callers: number; readonly calls: number },
): Promise<readonly Found[]> {
  const before = await redisUsage(backend);
  const { calls, tookMs } = await byRedisBenchmark(benchmark, backend.redis, load);
  const cpuUs = (await redisUsage(backend)).cpuUs - before.cpuUs;
  const name = "load by redis-benchmark, the floor's scripts";
  return [
    { name: `${name}: calls`, unit: '1/s', value: (calls / tookMs) * 1_000, better: 'more' },
    { name: `${name}: Redis CPU per call`, unit: 'us', value: cpuUs / calls, better: 'less' },
  ];
}
