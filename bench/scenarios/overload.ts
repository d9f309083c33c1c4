// More calls than the server can answer, from clients that don't wait for each other, while it renews the leases of
// open streams: how much still gets through, what is refused, and whether renewals, which can't wait, stay in time. The
// capacity is measured right before each level, by as many callers as keep the server busy, and stands in the column of
// the floor.
import { formatHostPort } from '../../src/domain/host-port.ts';
import { readExposition } from '../../test/support/exposition.ts';
import { freePort } from '../../test/support/ports.ts';
import type { ServerProcess } from '../../test/support/server-process.ts';
import { type Bucket, bucketsOf, counted, quantileOf } from '../bucket-quantile.ts';
import type { Renewals, Uncontended } from '../load-order.ts';
import type { OpenLoop } from '../loads/open-loop.ts';
import { answers, type LoadGenerator, type Rig } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';

const TIMES_CAPACITY = [0.5, 1, 1.5, 2, 3];
const QUICK_TIMES_CAPACITY = [1, 2, 3];
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
    const generator = rig.generator();
    await capacityOf(generator, server, quick ? 2_500 : 5_000); // a warm-up
    const found: Found[] = [];
    const forMs = quick ? 8_500 : 20_000;
    for (const times of quick ? QUICK_TIMES_CAPACITY : TIMES_CAPACITY) {
      // Each level begins with all streams open, and with a capacity of its own: that of the machine changes, too.
      const holder = await held(rig, server);
      const capacity = await capacityOf(generator, server, quick ? 2_000 : 5_000);
      const before = await lagAt(admin);
      const { load, renewals } = await offer(generator, holder, server, times * capacity, forMs);
      await answers(server);
      // What was late is renewed now, or lost.
      const { lost } = await holder.order<Renewals>({ kind: 'watch', forMs: TTL_MS / 2 });
      const lag = counted(before, await lagAt(admin));
      found.push(...figures({ times, load, renewals, lost, lag }, capacity));
      await holder.close();
    }
    return found;
  },
};

/** The streams whose leases are renewed meanwhile, in a process of their own. */
export async function held(rig: Rig, server: ServerProcess): Promise<LoadGenerator> {
  const holder = rig.generator();
  const address = formatHostPort(server.address);
  await holder.order({ kind: 'hold', address, streams: STREAMS, ttlMs: TTL_MS });
  return holder;
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

/** What callers that wait for their answers get out of it, in cycles a second. */
export async function capacityOf(
  generator: LoadGenerator,
  server: ServerProcess,
  forMs: number,
): Promise<number> {
  const { cycles, tookMs } = await generator.order<Uncontended>({
    kind: 'uncontended',
    peer: 'frames',
    address: formatHostPort(server.address),
    callers: CALLERS,
    connections: CONNECTIONS,
    forMs,
  });
  return (cycles / tookMs) * 1_000;
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
