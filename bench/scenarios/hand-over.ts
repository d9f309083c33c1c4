// One hot lock: how long the next of so many waiters has to wait for its grant, what Redis does for it, and whether all
// get their turn. The floor of the latency is one Release of a bare server, in turn with it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildServer } from '../../scripts/demo/child-server.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { median, ofMany } from '../figures.ts';
import type { Cycles, HandOvers, Uncontended } from '../load-order.ts';
import { measured } from '../measured.ts';
import { type Backend, type LoadGenerator, redisUsage } from '../rig.ts';
import type { Found, Scenario, Scope } from '../scenario.ts';

const QUEUES = [10, 100, 1_000, 10_000];
const QUICK_QUEUES = [10, 1_000];
/** So few that all of them get the lock many times. */
const MOST_IN_TURN = 100;
const IDLE_MS = 1_500;

interface Round {
  readonly ours: HandOvers;
  readonly floorMs: number;
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
      // Each on a lock of its own: the last holder of the one before keeps it until its TTL is over.
      const resource = `bench-hot-${waiters}`;
      await generator.order({ kind: 'queue', address, resource, waiters });
      await generator.order({ kind: 'expect', leaseIds: await standing(backend, resource) });
      const rounds = await handOvers(generator, backend, floorGenerator, floor, { quick });
      fewest ??= median(rounds.map(({ commands }) => commands));
      found.push(...figures(waiters, rounds, fewest));
      if (waiters <= MOST_IN_TURN)
        found.push(...(await inTurn(generator, backend, leasehold, waiters, quick)));
      await generator.order({ kind: 'empty' });
      await generator.close();
      await leasehold.stop();
    }
    return found;
  },
};

/** The queue as Redis has it, first to last. */
function standing({ redis }: Backend, resource: string): Promise<readonly string[]> {
  const queue = keysFor('leasehold:').meta.replace(/meta$/, `queue:${resource}`);
  return redis.withClient((client) => client.zrange(queue, '0', '-1'));
}

async function handOvers(
  generator: LoadGenerator,
  backend: Backend,
  floorGenerator: LoadGenerator,
  floor: ChildServer,
  { quick }: Scope,
): Promise<readonly Round[]> {
  const times = quick ? 60 : 200;
  const warmUp = await generator.order<HandOvers>({ kind: 'pass', times });
  const idleFrom = await redisUsage(backend);
  await sleep(IDLE_MS);
  const idlePerMs = ((await redisUsage(backend)).commands - idleFrom.commands) / IDLE_MS;
  const rounds: Round[] = [];
  for (let round = 0; round < (quick ? 3 : 5); round++) {
    const before = await redisUsage(backend);
    const ours = await generator.order<HandOvers>({ kind: 'pass', times });
    const all = (await redisUsage(backend)).commands - before.commands;
    const bare = await floorGenerator.order<Uncontended>({
      kind: 'uncontended',
      peer: 'grpc',
      address: formatHostPort(floor.address),
      callers: 1,
      forMs: 400,
    });
    const outOfOrder = ours.outOfOrder + (round === 0 ? warmUp.outOfOrder : 0);
    rounds.push({
      ours: { ...ours, outOfOrder },
      floorMs: bare.releaseP50Ms,
      commands: (all - idlePerMs * ours.tookMs) / times,
    });
  }
  return rounds;
}

function figures(waiters: number, rounds: readonly Round[], fewest: number): readonly Found[] {
  const named = (what: string) => ofMany(waiters, 'waiters', what);
  const commands = median(rounds.map((round) => round.commands));
  return [
    {
      ...named('p50'),
      unit: 'ms',
      value: median(rounds.map(({ ours }) => ours.p50Ms)),
      floor: median(rounds.map(({ floorMs }) => floorMs)),
      ratio: median(rounds.map(({ ours, floorMs }) => ours.p50Ms / floorMs)),
      ...(waiters === 1_000 ? { budget: { of: 'value', atMost: 2 } } : {}),
      better: 'less',
    },
    {
      ...named('p99'),
      unit: 'ms',
      value: median(rounds.map(({ ours }) => ours.p99Ms)),
      better: 'less',
    },
    {
      // Both directions: one that releases and queues again, and one that is granted.
      ...named('Redis commands per hand-over'),
      unit: '',
      value: commands,
      floor: fewest,
      ratio: commands / fewest,
      // The same whatever the queue's length; the rest is how well the idle ones are known.
      budget: { of: 'ratio', atMost: 1.1 },
      steady: 'value',
      better: 'less',
    },
    {
      ...named('grants out of the order of the queue'),
      unit: '',
      value: rounds.reduce((sum, { ours }) => sum + ours.outOfOrder, 0),
      budget: { of: 'value', atMost: 0 },
      better: 'less',
    },
  ];
}

/** Everybody queues again as soon as it has given the lock back. */
async function inTurn(
  generator: LoadGenerator,
  backend: Backend,
  server: ChildServer,
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
      // At the end of the time some have had one turn more than others.
      ...named('most turns beyond the fewest'),
      unit: '',
      value: seen.most - seen.fewest,
      budget: { of: 'value', atMost: 1 },
      better: 'less',
    },
    { ...named('most turns against fewest'), unit: '', value: seen.most / seen.fewest, better: 'less' },
  ];
}
