// Several server processes on one Redis, with 256 callers spread over them: the cost of a call must not depend on the
// number of processes, and Redis's share of a core tells how many it could feed. Whether they serve more together
// depends on how many cores are free.

import { formatHostPort } from '../../src/domain/host-port.ts';
import type { ServerProcess } from '../../test/support/server-process.ts';
import { median, ofMany } from '../figures.ts';
import type { Uncontended } from '../load-order.ts';
import { type Backend, type LoadGenerator, redisUsage, usageOf } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';

const PROCESSES = [1, 2, 4];
const CALLERS = 256;

/** A server process with its part of the load. */
interface Seat {
  readonly server: ServerProcess;
  readonly generator: LoadGenerator;
}

interface Sample {
  readonly cyclesPerSecond: number;
  /** The sum over all server processes. */
  readonly cpuUsPerCall: number;
  readonly redisCpuUsPerCall: number;
  readonly redisCorePercent: number;
}

export const processes: Scenario = {
  name: 'processes',
  title: `Server processes on one Redis, ${CALLERS} callers over all of them (floor: one process)`,
  async run(rig, { quick }) {
    const backend = await rig.redis();
    const servers = await rig.leaseholds(backend, Array(Math.max(...PROCESSES)).fill({}));
    const seats = servers.map((server): Seat => ({ server, generator: rig.generator() }));
    await sample(backend, seats, quick ? 2_500 : 6_000);
    const samples = PROCESSES.map((): Sample[] => []);
    for (let round = 0; round < (quick ? 5 : 9); round++) {
      for (const [index, count] of PROCESSES.entries()) {
        samples[index]?.push(await sample(backend, seats.slice(0, count), quick ? 600 : 2_500));
      }
    }
    const [alone = []] = samples;
    return PROCESSES.flatMap((count, index) => figures(count, samples[index] ?? [], alone));
  },
};

async function sample(backend: Backend, seats: readonly Seat[], forMs: number): Promise<Sample> {
  const cpuUs = async (): Promise<number> => {
    const usages = await Promise.all(seats.map(({ server }) => usageOf(server)));
    return usages.reduce((sum, usage) => sum + usage.cpuUs, 0);
  };
  const [before, redisBefore] = [await cpuUs(), await redisUsage(backend)];
  const loads = await Promise.all(
    seats.map(({ server, generator }) =>
      generator.order<Uncontended>({
        kind: 'uncontended',
        peer: 'frames',
        address: formatHostPort(server.address),
        callers: CALLERS / seats.length,
        forMs,
      }),
    ),
  );
  const [after, redisAfter] = [await cpuUs(), await redisUsage(backend)];
  const cycles = loads.reduce((sum, load) => sum + load.cycles, 0);
  const tookMs = Math.max(...loads.map((load) => load.tookMs));
  const redisCpuUs = redisAfter.cpuUs - redisBefore.cpuUs;
  return {
    cyclesPerSecond: (cycles / tookMs) * 1_000,
    cpuUsPerCall: (after - before) / (2 * cycles),
    redisCpuUsPerCall: redisCpuUs / (2 * cycles),
    redisCorePercent: redisCpuUs / (tookMs * 10),
  };
}

function figures(count: number, samples: readonly Sample[], alone: readonly Sample[]): readonly Found[] {
  const of = (part: (sample: Sample) => number) => ({
    value: median(samples.map(part)),
    floor: median(alone.map(part)),
    ratio: median(samples.map((each, round) => part(each) / part(alone[round] ?? each))),
  });
  const named = (what: string) => ofMany(count, 'processes', what);
  return [
    {
      ...of(({ cyclesPerSecond }) => cyclesPerSecond),
      ...named('cycles'),
      unit: '1/s',
      better: 'more',
    },
    {
      ...of(({ cpuUsPerCall }) => cpuUsPerCall),
      ...named('CPU of the servers per call'),
      unit: 'us',
      better: 'less',
    },
    {
      ...of(({ redisCpuUsPerCall }) => redisCpuUsPerCall),
      ...named('Redis CPU per call'),
      unit: 'us',
      better: 'less',
    },
    {
      ...of(({ redisCorePercent }) => redisCorePercent),
      ...named("Redis's share of a core"),
      unit: '%',
      better: 'less',
    },
  ];
}
