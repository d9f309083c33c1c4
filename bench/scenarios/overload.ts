// More calls than the server can answer, from clients that don't wait for each other, while it renews the leases of
// open streams: how much still gets through, what is refused, and whether renewals, which can't wait, stay in time. The
// capacity is measured in the same run, by as many callers as keep the server busy, and stands in the column of the
// floor.
import { setTimeout as sleep } from 'node:timers/promises';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { readExposition } from '../../test/support/exposition.ts';
import { freePort } from '../../test/support/ports.ts';
import type { ServerProcess } from '../../test/support/server-process.ts';
import { type Bucket, bucketsOf, counted, quantileOf } from '../bucket-quantile.ts';
import { median } from '../figures.ts';
import type { Renewals, Uncontended } from '../load-order.ts';
import type { OpenLoop } from '../loads/open-loop.ts';
import { answers, type LoadGenerator } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';

const TIMES_CAPACITY = [0.5, 1, 1.5, 2, 3];
const QUICK_TIMES_CAPACITY = [0.5, 1, 2, 3];
/** Where the budget of the renewals is. */
const BUDGETED = 2;
const CALLERS = 256;
/** Room for 64,000 calls at once: no call waits in the client, as if each came from another one. */
const CONNECTIONS = 64;
const DEADLINE_MS = 1_000;
const TTL_MS = 10_000;
/** So many that a short time has the 10,000 renewals that a p99.9 needs. */
const STREAMS = 3_000;
const LAG = 'leasehold_lease_renewal_lag_seconds';
/** A part of the TTL: with a renewal that late, two more tries fit before the lease ends. */
const MOST_LAG = 1 / 10;

interface Level {
  readonly times: number;
  readonly load: OpenLoop;
  readonly renewals: Renewals;
  readonly lost: number;
  /** By the server's own histogram, in seconds. */
  readonly lag: readonly Bucket[];
}

export const overload: Scenario = {
  name: 'overload',
  title: `More than the server can do, beside ${STREAMS} held leases with a TTL of ${TTL_MS / 1_000} s (floor: its capacity)`,
  async run(rig, { quick }) {
    const backend = await rig.redis();
    const admin = `127.0.0.1:${await freePort()}`;
    const server = await rig.leasehold(backend, { LEASEHOLD_ADMIN_ADDRESS: admin });
    const [generator, holder] = [rig.generator(), rig.generator()];
    await hold(holder, server);
    const capacity = await capacityOf(generator, server, quick);
    const found: Found[] = [
      { name: `capacity, ${CALLERS} callers`, unit: '1/s', value: capacity, better: 'more' },
    ];
    const forMs = quick ? 8_500 : 20_000;
    let lost = 0;
    for (const times of quick ? QUICK_TIMES_CAPACITY : TIMES_CAPACITY) {
      // What was late in the level before has been renewed after a while.
      await answers(server);
      await sleep(TTL_MS / 4);
      const before = await lagAt(admin);
      const { load, renewals } = await offer(generator, holder, server, times * capacity, forMs);
      await answers(server);
      const lag = counted(before, await lagAt(admin));
      found.push(...figures({ times, load, renewals, lost: renewals.lost - lost, lag }, capacity));
      lost = renewals.lost;
    }
    return found;
  },
};

/** Opens the streams whose leases are renewed meanwhile. */
export async function hold(holder: LoadGenerator, server: ServerProcess): Promise<void> {
  const address = formatHostPort(server.address);
  await holder.order({ kind: 'hold', address, streams: STREAMS, ttlMs: TTL_MS });
}

/** Offers so many cycles a second, and reads what the streams are told meanwhile. */
export async function offer(
  generator: LoadGenerator,
  holder: LoadGenerator,
  server: ServerProcess,
  cyclesPerSecond: number,
  forMs: number,
): Promise<{ readonly load: OpenLoop; readonly renewals: Renewals }> {
  const [load, renewals] = await Promise.all([
    generator.order<OpenLoop>({
      kind: 'open-loop',
      address: formatHostPort(server.address),
      connections: CONNECTIONS,
      cyclesPerSecond,
      forMs,
      deadlineMs: DEADLINE_MS,
    }),
    holder.order<Renewals>({ kind: 'watch', forMs }),
  ]);
  return { load, renewals };
}

/** In cycles per second, with the streams open. */
export async function capacityOf(
  generator: LoadGenerator,
  server: ServerProcess,
  quick: boolean,
): Promise<number> {
  const load = async (forMs: number): Promise<number> => {
    const { cycles, tookMs } = await generator.order<Uncontended>({
      kind: 'uncontended',
      peer: 'frames',
      address: formatHostPort(server.address),
      callers: CALLERS,
      connections: CONNECTIONS,
      forMs,
    });
    return (cycles / tookMs) * 1_000;
  };
  await load(quick ? 2_500 : 5_000);
  const rates: number[] = [];
  for (let round = 0; round < 3; round++) rates.push(await load(quick ? 1_500 : 4_000));
  return median(rates);
}

async function lagAt(admin: string): Promise<readonly Bucket[]> {
  const response = await fetch(`http://${admin}/metrics`);
  if (!response.ok) throw new Error(`/metrics of the server answers ${response.status}`);
  return bucketsOf(readExposition(await response.text()).get(LAG)?.samples ?? [], LAG);
}

function figures({ times, load, renewals, lost, lag }: Level, capacity: number): readonly Found[] {
  const named = (what: string): string => `${times} x capacity: ${what}`;
  const rate = (cycles: number): number => (cycles / load.tookMs) * 1_000;
  const goodput = rate(load.completed);
  const shareOf = (cycles: number): number => (cycles / load.offered) * 100;
  const lagMs = (part: number): number => quantileOf(lag, part) * 1_000;
  const ms = (what: string, value: number): Found => ({
    name: named(what),
    unit: 'ms',
    value,
    better: 'less',
  });
  return [
    { name: named('offered'), unit: '1/s', value: rate(load.offered), better: 'more' },
    {
      name: named('goodput'),
      unit: '1/s',
      value: goodput,
      floor: capacity,
      ratio: goodput / capacity,
      better: 'more',
    },
    ms('Acquire p50 of successes', load.acquireP50Ms),
    ms('Acquire p99 of successes', load.acquireP99Ms),
    ...Object.entries(load.failed)
      .toSorted()
      .map(
        ([code, cycles]): Found => ({
          name: named(code),
          unit: '% cycles',
          value: shareOf(cycles),
          better: 'less',
        }),
      ),
    ...(load.unsent === 0
      ? []
      : [
          {
            name: named('of these, never sent'),
            unit: '% cycles',
            value: shareOf(load.unsent),
            better: 'less' as const,
          },
        ]),
    ...(load.closed === 0
      ? []
      : [
          {
            name: named('connections that the server ended'),
            unit: '',
            value: load.closed,
            better: 'less' as const,
          },
        ]),
    ms('renewal late, p50', lagMs(0.5)),
    ms('renewal late, p99', lagMs(0.99)),
    {
      ...ms('renewal late, p99.9', lagMs(0.999)),
      ...(times === BUDGETED
        ? { budget: { of: 'value', atMost: TTL_MS * MOST_LAG, isForAnyMachine: true } }
        : {}),
    },
    ms('renewal told late, p99', renewals.lagP99Ms),
    ...(renewals.lagP999Ms === undefined ? [] : [ms('renewal told late, p99.9', renewals.lagP999Ms)]),
    ms('renewal told late, most', renewals.lagMostMs),
    {
      name: named('leases lost'),
      unit: '',
      value: lost,
      budget: { of: 'value', atMost: 0 },
      steady: 'value',
      better: 'less',
    },
    ms('load generator late, p99', load.lateP99Ms),
  ];
}
