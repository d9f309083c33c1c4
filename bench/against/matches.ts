// What is measured of two servers in turn: the loads of some scenarios, in short pieces. Owns these pieces and the
// figures of each; compare-checkouts.ts decides who is measured when.
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { ServerProcess } from '../../test/support/server-process.ts';
import type { Figure } from '../figures.ts';
import type { Cycles, HandOvers, Renewals } from '../load-order.ts';
import { measured } from '../measured.ts';
import { answers, type Backend, type LoadGenerator, type Rig } from '../rig.ts';
import { standing } from '../scenarios/hand-over.ts';
import { capacityOf, held, offer } from '../scenarios/overload.ts';
import { sampleServer } from '../scenarios/uncontended.ts';
import { sampleWatch } from '../scenarios/watch.ts';

/** A server with a Redis of its own: two versions may not agree on what is in it. */
export interface Side {
  readonly server: ServerProcess;
  readonly backend: Backend;
}

export type Reading = Pick<Figure, 'name' | 'unit' | 'value' | 'better'>;

/** Measures one side; the same figures each time. */
export type Step = (side: Side) => Promise<readonly Reading[]>;

export interface Match {
  /** That of the scenario whose load it has. */
  readonly name: string;
  readonly title: string;
  /** The steps of one round. Both sides take each of them before the next begins. */
  steps(rig: Rig, scope: { readonly quick: boolean }): readonly Step[];
}

const CALLERS = [1, 64, 256];
const WARM_UP_CALLERS = 64;
const WAITERS = 100;
const WATCHERS = 1_000;
const TIMES_CAPACITY = 2;
const SETTLE_MS = 3_000;
const WARM_UP_MS = 2_500;

const uncontended: Match = {
  name: 'uncontended',
  title: `Acquire and Release without contention, with ${CALLERS.join(', ')} callers`,
  steps(rig, { quick }) {
    const generator = rig.generator();
    const load = (side: Side, callers: number, forMs: number) =>
      sampleServer(generator, side.backend, side.server, callers, forMs);
    const warmUp: Step = async (side) => {
      await load(side, WARM_UP_CALLERS, quick ? 1_500 : 3_000);
      return [];
    };
    const measure = CALLERS.map(
      (callers): Step =>
        async (side) => {
          const sample = await load(side, callers, quick ? 1_000 : 2_500);
          const named = (what: string): string => `${callers} callers: ${what}`;
          const { cpuUsPerCall, redisCpuUsPerCall } = sample;
          return [
            us(named('server CPU per call'), cpuUsPerCall),
            us(named('Redis CPU per call'), redisCpuUsPerCall),
            us(named('CPU of both per call'), cpuUsPerCall + redisCpuUsPerCall),
            perSecond(named('cycles'), sample.cyclesPerSecond),
            ms(named('Acquire p50'), sample.acquireP50Ms),
            ms(named('Acquire p99'), sample.acquireP99Ms),
          ];
        },
    );
    return [warmUp, ...measure];
  },
};

const handOver: Match = {
  name: 'hand-over',
  title: `One lock that passes through a queue of ${WAITERS}`,
  steps: (rig, { quick }) => [
    async ({ server, backend }) => {
      const generator = rig.generator();
      const address = formatHostPort(server.address);
      const resource = `bench-hot-${WAITERS}`;
      await generator.order({ kind: 'queue', address, resource, waiters: WAITERS });
      await generator.order({ kind: 'expect', leaseIds: await standing(backend, resource) });
      await generator.order({ kind: 'pass', forMs: 1_000, isWarmUp: true });
      const passed = await generator.order<HandOvers>({
        kind: 'pass',
        forMs: quick ? 2_000 : 5_000,
        isWarmUp: false,
      });
      const cycled = await measured(server, backend, () =>
        generator.order<Cycles>({ kind: 'cycle', forMs: quick ? 1_500 : 4_000 }),
      );
      await generator.order({ kind: 'empty' });
      await generator.close();
      const { grants, tookMs } = cycled.seen;
      const named = (what: string): string => `${WAITERS} waiters: ${what}`;
      const again = (what: string): string => `${WAITERS} that queue again at once: ${what}`;
      return [
        ms(named('hand-over p50'), passed.latency.p50Ms),
        ms(named('hand-over p99'), passed.latency.p99Ms),
        perSecond(again('hand-overs'), (grants / tookMs) * 1_000),
        us(again('server CPU per hand-over'), cycled.cpuUs / grants),
        us(again('Redis CPU per hand-over'), cycled.redisCpuUs / grants),
        us(again('CPU of both per hand-over'), (cycled.cpuUs + cycled.redisCpuUs) / grants),
      ];
    },
  ],
};

const watch: Match = {
  name: 'watch',
  title: `From a change of one lock or operation to all of ${WATCHERS} watchers`,
  steps: (rig, { quick }) =>
    (['locks', 'operations'] as const).map(
      (what): Step =>
        async ({ server, backend }) => {
          const { seen, cpuUs, redisCommandsPerChange } = await sampleWatch(
            rig,
            server,
            backend,
            what,
            WATCHERS,
            quick ? 15 : 40,
          );
          const named = (figure: string): string => `${WATCHERS} watchers of ${what}: ${figure}`;
          return [
            us(named('server CPU per message'), cpuUs / seen.messages),
            ms(named('from the call to the last, p50'), seen.all.p50Ms),
            {
              name: named('Redis commands per change'),
              unit: '',
              value: redisCommandsPerChange,
              better: 'less',
            },
          ];
        },
    ),
};

const overload: Match = {
  name: 'overload',
  title: `${TIMES_CAPACITY} times what both can answer on average, beside held leases`,
  steps(rig, { quick }) {
    const generator = rig.generator();
    const holders = new Map<Side, LoadGenerator>();
    const capacities: number[] = [];
    const measureCapacity: Step = async (side) => {
      holders.set(side, await held(rig, side.server));
      await capacityOf(generator, side.server, WARM_UP_MS);
      const capacity = await capacityOf(generator, side.server, quick ? 2_000 : 4_000);
      capacities.push(capacity);
      return [perSecond('capacity', capacity)];
    };
    const overloaded: Step = async (side) => {
      const holder = holders.get(side);
      if (!holder) throw new Error('its streams are open');
      // The same for both: the better one isn't offered more.
      const both = capacities.reduce((sum, capacity) => sum + capacity, 0) / capacities.length;
      const rate = TIMES_CAPACITY * both;
      // What the other's overload has done to these streams is not theirs.
      const before = await holder.order<Renewals>({ kind: 'watch', forMs: SETTLE_MS });
      const { load, renewals } = await offer(generator, holder, side.server, rate, quick ? 6_000 : 12_000);
      // What was late is renewed now, or lost.
      await answers(side.server);
      const after = await holder.order<Renewals>({ kind: 'watch', forMs: SETTLE_MS });
      await holder.close();
      const named = (what: string): string => `${TIMES_CAPACITY} x capacity: ${what}`;
      return [
        perSecond(named('goodput'), (load.completed / load.tookMs) * 1_000),
        ms(named('Acquire p99 of successes'), load.acquireP99Ms),
        ms(named('renewal told late, p99'), renewals.lagP99Ms),
        ms(named('renewal told late, most'), renewals.lagMostMs),
        { name: named('leases lost'), unit: '', value: after.lost - before.lost, better: 'less' },
      ];
    };
    return [measureCapacity, overloaded];
  },
};

/** What is measured if nothing is named: a few minutes. */
export const USUAL_MATCHES: readonly Match[] = [uncontended, handOver, watch];
export const MATCHES: readonly Match[] = [...USUAL_MATCHES, overload];

function us(name: string, value: number): Reading {
  return { name, unit: 'us', value, better: 'less' };
}

function ms(name: string, value: number): Reading {
  return { name, unit: 'ms', value, better: 'less' };
}

function perSecond(name: string, value: number): Reading {
  return { name, unit: '1/s', value, better: 'more' };
}
