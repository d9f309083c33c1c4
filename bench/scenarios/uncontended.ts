// Acquire and Release of locks that nobody else wants, compared with a bare server that runs one script on the same
// keys (floor-server.ts), and with what teams write by hand: SET NX PX and a script that compares and deletes.
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { ServerProcess } from '../../test/support/server-process.ts';
import { median, ofMany, paired } from '../figures.ts';
import type { Uncontended, UncontendedOrder } from '../load-order.ts';
import type { Usage } from '../probe.ts';
import { type Backend, type LoadGenerator, redisUsage, usageOf } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';

const CALLERS = [1, 16, 64, 256];
const WARM_UP_CALLERS = 64;
/** With one caller, the process spends much CPU on waking up: the budget is for a server that is in use. */
const BUDGETED_CALLERS = 64;

export interface Sample extends Uncontended {
  readonly cyclesPerSecond: number;
  /** The CPU time of the server's process, the same for both calls. */
  readonly cpuUsPerCall: number;
  readonly redisCpuUsPerCall: number;
  readonly generatorCpuUsPerCall: number;
}

export const uncontended: Scenario = {
  name: 'uncontended',
  title: 'Acquire and Release without contention, per number of callers',
  async run(rig, { quick }) {
    const backend = await rig.redis();
    const leasehold = await rig.leasehold(backend);
    const floor = await rig.floor(backend);
    const generator = rig.generator();
    const rounds = quick ? 5 : 9;
    const forMs = quick ? 700 : 2_500;
    const warmUpMs = quick ? 1_500 : 5_000;
    const sample = (server: ServerProcess, callers: number, ms: number): Promise<Sample> =>
      sampleServer(generator, backend, server, callers, ms);
    for (const server of [leasehold, floor]) await sample(server, WARM_UP_CALLERS, warmUpMs);
    const found: Found[] = [];
    for (const callers of CALLERS) {
      const pairs: { readonly ours: Sample; readonly floor: Sample }[] = [];
      const byHand: { readonly load: Uncontended; readonly redisCpuUs: number }[] = [];
      for (let round = 0; round < rounds; round++) {
        const ours = await sample(leasehold, callers, forMs);
        pairs.push({ ours, floor: await sample(floor, callers, forMs) });
        if (round % 3 === 0) byHand.push(await sampleByHand(generator, backend, callers, forMs));
      }
      found.push(...figures(callers, pairs));
      found.push(
        {
          name: `${callers} by hand with ioredis: cycles`,
          unit: '1/s',
          value: median(byHand.map(({ load }) => (load.cycles / load.tookMs) * 1_000)),
          better: 'more',
        },
        {
          name: `${callers} by hand with ioredis: Redis CPU per call`,
          unit: 'us',
          value: median(byHand.map(({ load, redisCpuUs }) => redisCpuUs / (2 * load.cycles))),
          better: 'less',
        },
      );
    }
    found.push(...(await memory(leasehold, floor)));
    return found;
  },
};

/** Measures one server under this load for this long. */
export async function sampleServer(
  generator: LoadGenerator,
  backend: Backend,
  server: ServerProcess,
  callers: number,
  forMs: number,
  peer: UncontendedOrder['peer'] = 'frames',
): Promise<Sample> {
  const address = formatHostPort(server.address);
  const [before, redisBefore] = [await usageOf(server), await redisUsage(backend)];
  const load = await generator.order<Uncontended>({
    kind: 'uncontended',
    peer,
    address,
    callers,
    forMs,
  });
  const [after, redisAfter] = [await usageOf(server), await redisUsage(backend)];
  return {
    ...load,
    cyclesPerSecond: (load.cycles / load.tookMs) * 1_000,
    cpuUsPerCall: (after.cpuUs - before.cpuUs) / (2 * load.cycles),
    redisCpuUsPerCall: (redisAfter.cpuUs - redisBefore.cpuUs) / (2 * load.cycles),
    generatorCpuUsPerCall: load.generatorCpuUs / (2 * load.cycles),
  };
}

/** Asked after the load: the heap shows whether calls that have ended leave anything behind. */
async function memory(leasehold: ServerProcess, floor: ServerProcess): Promise<readonly Found[]> {
  const ours = await usageOf(leasehold, 'usage-after-collection');
  const theirs = await usageOf(floor, 'usage-after-collection');
  const figure = (name: string, of: (usage: Usage) => number): Found => ({
    name: `${name} after all this and a collection`,
    unit: 'MiB',
    value: of(ours) / 2 ** 20,
    floor: of(theirs) / 2 ** 20,
    ratio: of(ours) / of(theirs),
    better: 'less',
  });
  return [
    figure('resident memory', ({ memoryBytes }) => memoryBytes),
    figure('heap', ({ heapBytes }) => heapBytes),
  ];
}

async function sampleByHand(generator: LoadGenerator, backend: Backend, callers: number, forMs: number) {
  const address = formatHostPort(backend.redis.listens);
  const before = await redisUsage(backend);
  const load = await generator.order<Uncontended>({
    kind: 'uncontended',
    peer: 'set-nx',
    address,
    callers,
    forMs,
  });
  return { load, redisCpuUs: (await redisUsage(backend)).cpuUs - before.cpuUs };
}

function figures(
  callers: number,
  pairs: readonly { readonly ours: Sample; readonly floor: Sample }[],
): readonly Found[] {
  const named = (what: string) => ofMany(callers, 'callers', what);
  const hasMany = pairs.every(({ ours, floor }) => ours.acquireP999Ms && floor.acquireP999Ms);
  const withBudget = callers >= BUDGETED_CALLERS;
  return [
    {
      ...paired(pairs, (sample) => sample.cpuUsPerCall),
      ...named('server CPU per call'),
      unit: 'us',
      ...(withBudget ? { budget: { of: 'ratio', atMost: 0.6 } } : {}),
      steady: 'ratio',
      better: 'less',
    },
    {
      ...paired(pairs, (sample) => sample.cyclesPerSecond),
      ...named('cycles'),
      unit: '1/s',
      steady: 'ratio',
      better: 'more',
    },
    {
      ...paired(pairs, (sample) => sample.acquireP50Ms),
      ...named('Acquire p50'),
      unit: 'ms',
      // With many callers at once, it is the rate again: callers divided by cycles.
      ...(callers === 1 ? { budget: { of: 'excess', atMost: 0.3 } } : {}),
      better: 'less',
    },
    {
      ...paired(pairs, (sample) => sample.acquireP99Ms),
      ...named('Acquire p99'),
      unit: 'ms',
      budget: { of: 'ratio', atMost: 2 },
      better: 'less',
    },
    ...(hasMany
      ? [
          {
            ...paired(pairs, (sample) => sample.acquireP999Ms ?? Number.NaN),
            ...named('Acquire p99.9'),
            unit: 'ms',
            better: 'less' as const,
          },
        ]
      : []),
    {
      ...paired(pairs, (sample) => sample.redisCpuUsPerCall),
      ...named('Redis CPU per call'),
      unit: 'us',
      steady: 'ratio',
      better: 'less',
    },
    {
      ...paired(pairs, (sample) => sample.generatorCpuUsPerCall),
      ...named('load generator CPU per call'),
      unit: 'us',
      better: 'less',
    },
  ];
}
