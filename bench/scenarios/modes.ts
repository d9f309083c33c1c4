// Shared leases and permits, with which one resource has many holders. In the column of the floor: as many callers with
// exclusive leases, each on a resource of its own. The summary of a lock (lua/locking.lua) makes admission cost the
// same for one holder as for many: a script looks at all holders only when the earliest known deadline has passed,
// which is once per TTL.
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { ServerProcess } from '../../test/support/server-process.ts';
import { ofMany, paired } from '../figures.ts';
import type { Mode, ModesSeen } from '../loads/modes.ts';
import { type Measured, measured, type Pair } from '../measured.ts';
import type { Backend, LoadGenerator } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';

type Sample = Measured<ModesSeen>;
type Named = Pick<Found, 'name' | 'curve'>;

const MODES = ['shared', 'permits'] as const;
const CALLERS = 64;
/** Callers beside the lasting holders: few, so that the lasting ones remain the most. */
const CALLERS_BESIDE = 16;
const HOLDERS = [1, 10, 100, 500];
const MANY_SAMPLES = 10_000;

export const modes: Scenario = {
  name: 'modes',
  title: 'Shared leases and permits of one resource (floor: exclusive ones, each of its own)',
  async run(rig, { quick }) {
    const backend = await rig.redis();
    const leasehold = await rig.leasehold(backend);
    const generator = rig.generator();
    const address = formatHostPort(leasehold.address);
    const load = loadOn(generator, leasehold, backend);
    for (const mode of ['exclusive', ...MODES] as const) await load(mode, CALLERS, quick ? 700 : 2_000);
    const found: Found[] = [];
    for (const mode of MODES) {
      const pairs: Pair<Sample>[] = [];
      for (let round = 0; round < (quick ? 3 : 5); round++) {
        const ours = await load(mode, CALLERS, quick ? 500 : 1_500);
        pairs.push({ ours, floor: await load('exclusive', CALLERS, quick ? 500 : 1_500) });
      }
      found.push(...figures((what) => ({ name: `${CALLERS} callers, ${mode}: ${what}` }), pairs));
    }
    for (const mode of MODES) {
      const redisCpu: number[] = [];
      for (const holders of quick ? [1, 500] : HOLDERS) {
        const pairs: Pair<Sample>[] = [];
        for (let round = 0; round < (quick ? 2 : 3); round++) {
          await generator.order({ kind: 'join', address, mode, holders });
          const ours = await load(mode, CALLERS_BESIDE, quick ? 500 : 1_000);
          pairs.push({ ours, floor: await load('exclusive', CALLERS_BESIDE, quick ? 500 : 1_000) });
        }
        await generator.order({ kind: 'leave' });
        found.push(...figures((what) => ofMany(holders, `holders present, ${mode}`, what), pairs));
        redisCpu.push(paired(pairs, redisCpuPerCall).ratio);
      }
      found.push({
        name: `${mode}: Redis CPU per call, with 500 holders present against 1`,
        unit: '',
        value: (redisCpu.at(-1) ?? Number.NaN) / (redisCpu[0] ?? Number.NaN),
        budget: { of: 'value', atMost: 1.5 },
        steady: 'value',
        better: 'less',
      });
    }
    return found;
  },
};

function loadOn(generator: LoadGenerator, server: ServerProcess, backend: Backend) {
  const address = formatHostPort(server.address);
  return (mode: Mode, callers: number, forMs: number): Promise<Sample> =>
    measured(server, backend, () => generator.order({ kind: 'modes', address, mode, callers, forMs }));
}

function redisCpuPerCall({ redisCpuUs, seen }: Sample): number {
  return redisCpuUs / (2 * seen.cycles);
}

function figures(named: (what: string) => Named, pairs: readonly Pair<Sample>[]): readonly Found[] {
  const perMille = pairs.every(({ ours, floor }) => ours.seen.cycles + floor.seen.cycles > 2 * MANY_SAMPLES);
  return [
    {
      ...paired(pairs, ({ cpuUs, seen }) => cpuUs / (2 * seen.cycles)),
      ...named('server CPU per call'),
      unit: 'us',
      better: 'less',
    },
    {
      ...paired(pairs, redisCpuPerCall),
      ...named('Redis CPU per call'),
      unit: 'us',
      steady: 'ratio',
      better: 'less',
    },
    {
      ...paired(pairs, ({ seen }) => (seen.cycles / seen.tookMs) * 1_000),
      ...named('cycles'),
      unit: '1/s',
      better: 'more',
    },
    {
      ...paired(pairs, ({ seen }) => seen.acquire.p50Ms),
      ...named('Acquire p50'),
      unit: 'ms',
      better: 'less',
    },
    {
      ...paired(pairs, ({ seen }) => seen.acquire.p99Ms),
      ...named('Acquire p99'),
      unit: 'ms',
      better: 'less',
    },
    ...(perMille
      ? [
          {
            ...paired(pairs, ({ seen }) => seen.acquire.p999Ms ?? Number.NaN),
            ...named('Acquire p99.9'),
            unit: 'ms',
            better: 'less' as const,
          },
        ]
      : []),
  ];
}
