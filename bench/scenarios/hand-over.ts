// One hot lock: how long the next of many waiters waits for its grant, what Redis does for it, and whether everybody
// gets a turn. The floor of the latency is one Release of a bare server, measured in turn with it.
import { setTimeout as sleep } from 'node:timers/promises';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import type { ServerProcess } from '../../test/support/server-process.ts';
import { median, ofMany } from '../figures.ts';
import type { Cycles, HandOvers, Uncontended } from '../load-order.ts';
import { measured } from '../measured.ts';
import { type Backend, type LoadGenerator, redisUsage } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';

const QUEUES = [10, 100, 1_000, 10_000];
const QUICK_QUEUES = [10, 1_000];
/** Few enough that all of them get the lock many times. */
const MOST_IN_TURN = 100;
/**
 * Waiters ask for their place again every 10 s, and those that came together ask together. What Redis does for them is
 * measured right before and after each of many short rounds.
 */
const IDLE_MS = 300;
const ROUND_MS = 500;
const WARM_UP_MS = 1_500;

interface Sample {
  readonly latency: HandOvers['latency'];
  readonly outOfOrder: number;
  readonly floorMs: number;
  /** What Redis does per hand-over. */
  readonly commands: number;
}

export const handOver: Scenario = {
  name: 'hand-over',
  title: 'From Release to the grant of the next in the queue, one after the other',
  async run(rig, { quick }) {
    const backend = await rig.redis();
    const floor = await rig.floor(backend);
    const floorGenerator = rig.generator();
    const found: Found[] = [];
    let fewest: number | undefined;
    for (const waiters of quick ? QUICK_QUEUES : QUEUES) {
      const leasehold = await rig.leasehold(backend);
      const generator = rig.generator();
      const address = formatHostPort(leasehold.address);
      // Each round has a lock of its own: the last holder of the round before keeps its lock until the TTL is over.
      const resource = `bench-hot-${waiters}`;
      await generator.order({ kind: 'queue', address, resource, waiters });
      await generator.order({ kind: 'expect', leaseIds: await standing(backend, resource) });
      const sample = await handOvers(generator, backend, floorGenerator, floor, quick ? 8 : 15);
      fewest ??= sample.commands;
      found.push(...figures(waiters, sample, fewest));
      if (waiters <= MOST_IN_TURN)
        found.push(...(await inTurn(generator, backend, leasehold, waiters, quick)));
      await generator.order({ kind: 'empty' });
      await generator.close();
      await leasehold.stop();
    }
    return found;
  },
};

/** The queue in Redis, first to last. */
export function standing({ redis }: Backend, resource: string): Promise<readonly string[]> {
  const queue = keysFor('leasehold:').meta.replace(/meta$/, `queue:${resource}`);
  return redis.withClient((client) => client.zrange(queue, '0', '-1'));
}

async function handOvers(
  generator: LoadGenerator,
  backend: Backend,
  floorGenerator: LoadGenerator,
  floor: ServerProcess,
  rounds: number,
): Promise<Sample> {
  const pass = (forMs: number, isWarmUp: boolean): Promise<HandOvers> =>
    generator.order({ kind: 'pass', forMs, isWarmUp });
  let ours = await pass(WARM_UP_MS, true);
  let { outOfOrder } = ours;
  const commandsOf = async (work: () => Promise<unknown>): Promise<number> => {
    const before = await redisUsage(backend);
    await work();
    return (await redisUsage(backend)).commands - before.commands;
  };
  const idle = (): Promise<number> => commandsOf(() => sleep(IDLE_MS));
  let idleBefore = await idle();
  const perHandOver: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const all = await commandsOf(async () => {
      ours = await pass(ROUND_MS, false);
    });
    const idleAfter = await idle();
    const idlePerMs = (idleBefore + idleAfter) / (2 * IDLE_MS);
    perHandOver.push((all - idlePerMs * ours.tookMs) / ours.times);
    idleBefore = idleAfter;
    outOfOrder += ours.outOfOrder;
  }
  const floorsMs: number[] = [];
  for (let round = 0; round < 3; round++) {
    const address = formatHostPort(floor.address);
    const bare = await floorGenerator.order<Uncontended>({
      kind: 'uncontended',
      peer: 'grpc',
      address,
      callers: 1,
      forMs: 400,
    });
    floorsMs.push(bare.releaseP50Ms);
  }
  return { latency: ours.latency, outOfOrder, floorMs: median(floorsMs), commands: median(perHandOver) };
}

function figures(waiters: number, sample: Sample, fewest: number): readonly Found[] {
  const { latency, floorMs, commands, outOfOrder } = sample;
  const named = (what: string) => ofMany(waiters, 'waiters', what);
  return [
    {
      ...named('p50'),
      unit: 'ms',
      value: latency.p50Ms,
      floor: floorMs,
      ratio: latency.p50Ms / floorMs,
      ...(waiters === 1_000 ? { budget: { of: 'value', atMost: 1.5 } } : {}),
      better: 'less',
    },
    { ...named('p99'), unit: 'ms', value: latency.p99Ms, better: 'less' },
    {
      // Both directions count: one caller releases and queues again, and one is granted.
      ...named('Redis commands per hand-over'),
      unit: '',
      value: commands,
      floor: fewest,
      ratio: commands / fewest,
      // It doesn't depend on the queue's length; the rest is how well the idle waiters are known.
      budget: { of: 'ratio', atMost: 1.1 },
      steady: 'value',
      better: 'less',
    },
    {
      ...named('grants out of the order of the queue'),
      unit: '',
      value: outOfOrder,
      budget: { of: 'value', atMost: 0 },
      better: 'less',
    },
  ];
}

/** Each caller queues again as soon as it has released the lock. */
async function inTurn(
  generator: LoadGenerator,
  backend: Backend,
  server: ServerProcess,
  waiters: number,
  quick: boolean,
): Promise<readonly Found[]> {
  const { seen, cpuUs, redisCpuUs } = await measured(server, backend, () =>
    generator.order<Cycles>({ kind: 'cycle', forMs: quick ? 1_500 : 5_000 }),
  );
  const named = (what: string) => ofMany(waiters, 'waiters that queue again at once', what);
  return [
    { ...named('hand-overs'), unit: '1/s', value: (seen.grants / seen.tookMs) * 1_000, better: 'more' },
    { ...named('server CPU per hand-over'), unit: 'us', value: cpuUs / seen.grants, better: 'less' },
    { ...named('Redis CPU per hand-over'), unit: 'us', value: redisCpuUs / seen.grants, better: 'less' },
    {
      ...named('grants out of the order of the queue'),
      unit: '',
      value: seen.outOfOrder,
      budget: { of: 'value', atMost: 0 },
      better: 'less',
    },
    {
      // When the time is over, some have had one turn more than others.
      ...named('most turns beyond the fewest'),
      unit: '',
      value: seen.most - seen.fewest,
      budget: { of: 'value', atMost: 1 },
      better: 'less',
    },
    { ...named('most turns against fewest'), unit: '', value: seen.most / seen.fewest, better: 'less' },
  ];
}
