// What the roll call adds while nothing fails: the notes of what was told, the memory that they take, and the look at
// the caller's entry in every script. The same load on two servers, each with a Redis of its own; the floor is the one
// without a roll call.
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { ServerProcess } from '../../test/support/server-process.ts';
import { median, paired } from '../figures.ts';
import type { Renewals } from '../load-order.ts';
import { type Backend, type LoadGenerator, type Rig, redisUsage, usageOf } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';
import { sampleServer } from './uncontended.ts';

const CALLERS = 64;
const TTL_MS = 30_000;
const STREAMS = 20_000;
const QUICK_STREAMS = 5_000;
const AT_MOST = 1.03;

interface Deployed {
  readonly backend: Backend;
  readonly server: ServerProcess;
}

interface Renewed {
  readonly memoryBytes: number;
  readonly cpuUs: number;
  readonly redisCpuUs: number;
}

export const rollCallCost: Scenario = {
  name: 'roll-call-cost',
  title: 'What the roll call adds to calls and renewals (floor: without it)',
  async run(rig, { quick }) {
    return [...(await calls(rig, quick)), ...(await renewals(rig, quick))];
  },
};

async function calls(rig: Rig, quick: boolean): Promise<readonly Found[]> {
  const [ours, floor] = [await deployed(rig, 'on'), await deployed(rig, 'off')];
  const generator = rig.generator();
  const sample = ({ backend, server }: Deployed, forMs: number) =>
    sampleServer(generator, backend, server, CALLERS, forMs);
  for (const each of [ours, floor]) await sample(each, quick ? 2_000 : 5_000);
  const pairs: { ours: Sample; floor: Sample }[] = [];
  for (let round = 0; round < (quick ? 8 : 20); round++) {
    // They change places, because the second finds the machine in another state than the first.
    const first = round % 2 === 0 ? ours : floor;
    const one = await sample(first, quick ? 700 : 1_500);
    const other = await sample(first === ours ? floor : ours, quick ? 700 : 1_500);
    pairs.push(first === ours ? { ours: one, floor: other } : { ours: other, floor: one });
  }
  await generator.close();
  for (const { server } of [ours, floor]) await server.stop();
  return [
    {
      ...paired(pairs, ({ cpuUsPerCall }) => cpuUsPerCall),
      name: 'Acquire and Release: server CPU per call',
      unit: 'us',
      budget: { of: 'ratio', atMost: AT_MOST },
      steady: 'ratio',
      better: 'less',
    },
    {
      ...paired(pairs, ({ redisCpuUsPerCall }) => redisCpuUsPerCall),
      name: 'Acquire and Release: Redis CPU per call',
      unit: 'us',
      budget: { of: 'ratio', atMost: AT_MOST },
      steady: 'ratio',
      better: 'less',
    },
    {
      ...paired(pairs, ({ acquireP50Ms }) => acquireP50Ms),
      name: 'Acquire p50',
      unit: 'ms',
      better: 'less',
    },
  ];
}

type Sample = Awaited<ReturnType<typeof sampleServer>>;

async function renewals(rig: Rig, quick: boolean): Promise<readonly Found[]> {
  const pairs: { ours: Renewed; floor: Renewed }[] = [];
  const streams = quick ? QUICK_STREAMS : STREAMS;
  for (let round = 0; round < (quick ? 2 : 3); round++) {
    // Both at once, so that they share what the machine does meanwhile; half of the renewals are each one's.
    const both = await Promise.all(
      (['on', 'off'] as const).map((rollCall) => opened(rig, rollCall, streams)),
    );
    const [ours, floor] = await Promise.all(
      both.map((each) => renewed(each, streams, quick ? 10_000 : 22_000)),
    );
    if (!ours || !floor) throw new Error('two servers were measured');
    pairs.push({ ours, floor });
  }
  return [
    {
      ...paired(pairs, ({ cpuUs }) => cpuUs),
      name: 'a renewal: server CPU',
      unit: 'us',
      budget: { of: 'ratio', atMost: AT_MOST },
      steady: 'ratio',
      better: 'less',
    },
    {
      ...paired(pairs, ({ redisCpuUs }) => redisCpuUs),
      name: 'a renewal: Redis CPU',
      unit: 'us',
      budget: { of: 'ratio', atMost: AT_MOST },
      steady: 'ratio',
      better: 'less',
    },
    {
      name: 'a told lease: memory of the server',
      unit: 'B',
      value: median(pairs.map(({ ours, floor }) => ours.memoryBytes - floor.memoryBytes)),
      better: 'less',
    },
  ];
}

interface Opened extends Deployed {
  readonly generator: LoadGenerator;
  readonly emptyHeapBytes: number;
}

async function opened(rig: Rig, rollCall: 'on' | 'off', streams: number): Promise<Opened> {
  const { backend, server } = await deployed(rig, rollCall);
  const generator = rig.generator();
  const { heapBytes } = await usageOf(server, 'usage-after-collection');
  await generator.order({ kind: 'hold', address: formatHostPort(server.address), streams, ttlMs: TTL_MS });
  await generator.order({ kind: 'watch', forMs: TTL_MS / 4 });
  return { backend, server, generator, emptyHeapBytes: heapBytes };
}

async function renewed(
  { backend, server, generator, emptyHeapBytes }: Opened,
  streams: number,
  forMs: number,
): Promise<Renewed> {
  const [before, redisBefore] = [await usageOf(server), await redisUsage(backend)];
  const seen = await generator.order<Renewals>({ kind: 'watch', forMs });
  const [after, redisAfter] = [await usageOf(server), await redisUsage(backend)];
  if (seen.lost > 0) throw new Error(`${seen.lost} leases were lost: the machine is too busy to measure on`);
  const { heapBytes } = await usageOf(server, 'usage-after-collection');
  await generator.order({ kind: 'end' });
  await generator.close();
  await server.kill();
  await backend.redis.stop();
  return {
    memoryBytes: (heapBytes - emptyHeapBytes) / streams,
    cpuUs: (after.cpuUs - before.cpuUs) / seen.renewals,
    redisCpuUs: (redisAfter.cpuUs - redisBefore.cpuUs) / seen.renewals,
  };
}

async function deployed(rig: Rig, rollCall: 'on' | 'off'): Promise<Deployed> {
  const backend = await rig.redis();
  return { backend, server: await rig.leasehold(backend, { LEASEHOLD_REDIS_ROLL_CALL: rollCall }) };
}
