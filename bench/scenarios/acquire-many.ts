// AcquireMany, compared with one Acquire after the other for the same resources (in the column of the floor). Both
// release in the same way.
import { formatHostPort } from '../../src/domain/host-port.ts';
import { LIMITS } from '../../src/domain/limits.ts';
import { ofMany, paired } from '../figures.ts';
import type { AcquireManyOrder, AcquireManySeen } from '../loads/acquire-many.ts';
import { type Measured, measured, type Pair } from '../measured.ts';
import type { Found, Scenario } from '../scenario.ts';

type Sample = Measured<AcquireManySeen>;

const RESOURCES = [1, 8, LIMITS.acquireMany];
const CALLERS = 8;

export const acquireMany: Scenario = {
  name: 'acquire-many',
  title: 'AcquireMany and Release of all (floor: one Acquire after the other)',
  async run(rig, { quick }) {
    const backend = await rig.redis();
    const leasehold = await rig.leasehold(backend);
    const generator = rig.generator();
    const address = formatHostPort(leasehold.address);
    const sample = (resources: number, by: AcquireManyOrder['by'], forMs: number): Promise<Sample> =>
      measured(leasehold, backend, () =>
        generator.order({ kind: 'acquire-many', address, resources, by, callers: CALLERS, forMs }),
      );
    for (const by of ['one call', 'single calls'] as const) await sample(8, by, quick ? 1_000 : 3_000);
    const found: Found[] = [];
    for (const resources of RESOURCES) {
      const pairs: Pair<Sample>[] = [];
      for (let round = 0; round < (quick ? 3 : 5); round++) {
        const ours = await sample(resources, 'one call', quick ? 500 : 1_500);
        pairs.push({ ours, floor: await sample(resources, 'single calls', quick ? 500 : 1_500) });
      }
      found.push(...figures(resources, pairs));
    }
    return found;
  },
};

function figures(resources: number, pairs: readonly Pair<Sample>[]): readonly Found[] {
  const named = (what: string) => ofMany(resources, 'resources', what);
  return [
    {
      ...paired(pairs, ({ cpuUs, seen }) => cpuUs / seen.resources),
      ...named('server CPU per resource'),
      unit: 'us',
      steady: 'ratio',
      better: 'less',
    },
    {
      ...paired(pairs, ({ redisCpuUs, seen }) => redisCpuUs / seen.resources),
      ...named('Redis CPU per resource'),
      unit: 'us',
      steady: 'ratio',
      better: 'less',
    },
    {
      ...paired(pairs, ({ seen }) => (seen.resources / seen.tookMs) * 1_000),
      ...named('taken and given back'),
      unit: '1/s',
      steady: 'ratio',
      better: 'more',
    },
    {
      ...paired(pairs, ({ seen }) => seen.taken.p50Ms),
      ...named('until all are taken, p50'),
      unit: 'ms',
      better: 'less',
    },
    {
      ...paired(pairs, ({ seen }) => seen.taken.p99Ms),
      ...named('until all are taken, p99'),
      unit: 'ms',
      better: 'less',
    },
  ];
}
