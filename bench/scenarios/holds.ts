// Streams that each hold a lease with a TTL of 30 s: what each costs while there are only renewals. The floor is a bare
// server with as many streams, which writes as many keys in scripts of 200 and sends as many messages.
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { ServerProcess } from '../../test/support/server-process.ts';
import { ofMany } from '../figures.ts';
import type { Renewals } from '../load-order.ts';
import { type Backend, type Rig, redisUsage, usageOf } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';

const TTL_MS = 30_000;
/** From this number on, a figure is about the streams. */
const MANY = 20_000;
const INSTANCE_STREAMS = 100_000;

interface Sample {
  readonly memoryPerLease: number;
  readonly cpuUsPerRenewal: number;
  /** The part of a core that 100,000 streams would take. */
  readonly corePercent: number;
  readonly redisCpuUsPerRenewal: number;
  readonly redisCommandsPerRenewal: number;
  readonly renewals: Renewals;
}

export const holds: Scenario = {
  name: 'holds',
  title: 'Open Hold streams with a TTL of 30 s',
  async run(rig, { quick }) {
    const found: Found[] = [];
    for (const streams of quick ? [MANY] : [1_000, 10_000, INSTANCE_STREAMS]) {
      const forMs = quick ? 10_000 : 22_000;
      // The leases that are left behind don't matter: their Redis ends, too.
      const backend = await rig.redis();
      // Each has a process of its own, which ends before the next begins, because memory that was once used isn't given
      // back.
      const ours = await sample(rig, backend, await rig.leasehold(backend), streams, forMs);
      const floor = await sample(rig, backend, await rig.floor(backend), streams, forMs);
      await backend.redis.stop();
      found.push(...figures(streams, ours, floor));
    }
    return found;
  },
};

async function sample(
  rig: Rig,
  backend: Backend,
  server: ServerProcess,
  streams: number,
  forMs: number,
): Promise<Sample> {
  const generator = rig.generator();
  const { memoryBytes: empty } = await usageOf(server, 'usage-after-collection');
  await generator.order({
    kind: 'hold',
    address: formatHostPort(server.address),
    streams,
    ttlMs: TTL_MS,
  });
  // Wait for the first renewals: only from then on do the streams behave as they will for the rest of their lives.
  await generator.order({ kind: 'watch', forMs: TTL_MS / 4 });
  const before = await usageOf(server);
  const redisBefore = await redisUsage(backend);
  const renewals = await generator.order<Renewals>({ kind: 'watch', forMs });
  const after = await usageOf(server);
  const redisAfter = await redisUsage(backend);
  // This comes last, because with so many streams it stops the server for a moment, and renewals fail.
  const full = await usageOf(server, 'usage-after-collection');
  await generator.order({ kind: 'end' });
  await generator.close();
  await server.stop();
  const cpuUs = after.cpuUs - before.cpuUs;
  return {
    memoryPerLease: (full.memoryBytes - empty) / streams / 1_024,
    cpuUsPerRenewal: cpuUs / renewals.renewals,
    corePercent: (cpuUs / (renewals.tookMs * 1_000)) * 100 * (INSTANCE_STREAMS / streams),
    redisCpuUsPerRenewal: (redisAfter.cpuUs - redisBefore.cpuUs) / renewals.renewals,
    redisCommandsPerRenewal: (redisAfter.commands - redisBefore.commands) / renewals.renewals,
    renewals,
  };
}

function figures(streams: number, ours: Sample, floor: Sample): readonly Found[] {
  const against = (of: (sample: Sample) => number) => ({
    value: of(ours),
    floor: of(floor),
    ratio: of(ours) / of(floor),
  });
  const name = (what: string) => ofMany(streams, 'streams', what);
  // With few streams, most of it is what the server does anyway.
  const isMany = streams >= MANY;
  return [
    {
      ...against((sample) => sample.memoryPerLease),
      ...name('memory per lease'),
      unit: 'KB',
      ...(isMany ? { budget: { of: 'value', atMost: 12 }, steady: 'value' } : {}),
      better: 'less',
    },
    {
      ...against((sample) => sample.cpuUsPerRenewal),
      ...name('server CPU per renewal'),
      unit: 'us',
      // It isn't steady: how the floor's streams fall into turns, and so what leaves in one piece, is luck.
      better: 'less',
    },
    {
      ...against((sample) => sample.corePercent),
      ...name('server CPU, for 100,000 of them'),
      unit: '% core',
      ...(isMany ? { budget: { of: 'value', atMost: 25 } } : {}),
      better: 'less',
    },
    {
      ...against((sample) => sample.redisCpuUsPerRenewal),
      ...name('Redis CPU per renewal'),
      unit: 'us',
      better: 'less',
    },
    {
      ...name('Redis commands per renewal'),
      unit: '',
      value: ours.redisCommandsPerRenewal,
      ...(isMany ? { steady: 'value' } : {}),
      better: 'less',
    },
    {
      ...name('Redis commands'),
      unit: '1/s',
      value: (ours.redisCommandsPerRenewal * ours.renewals.renewals) / (ours.renewals.tookMs / 1_000),
      better: 'less',
    },
    {
      ...name('renewal later than a quarter of the TTL, p99'),
      unit: 'ms',
      value: ours.renewals.lagP99Ms,
      better: 'less',
    },
    ...(ours.renewals.lagP999Ms === undefined
      ? []
      : [
          {
            ...name('renewal later than a quarter of the TTL, p99.9'),
            unit: 'ms',
            value: ours.renewals.lagP999Ms,
            better: 'less' as const,
          },
        ]),
    {
      ...name('leases lost'),
      unit: '',
      value: ours.renewals.lost,
      budget: { of: 'value', atMost: 0 },
      better: 'less',
    },
    {
      // It has to be small compared with the server's, because they share the machine.
      ...against(({ renewals }) => renewals.generatorCpuUs / renewals.renewals),
      ...name('load generator CPU per renewal'),
      unit: 'us',
      better: 'less',
    },
    {
      ...name('left of the TTL at a renewal, p1'),
      unit: '',
      value: ours.renewals.leftP1,
      budget: { of: 'value', atLeast: 0.7 },
      better: 'more',
    },
  ];
}
