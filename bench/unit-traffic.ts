// What calls, renewals and waiting cost a server and its Redis, for the figures of `leasehold capacity`: CPU, bytes, and
// the growth of the append-only file. What an idle server costs in the same time is subtracted.
import { setTimeout as sleep } from 'node:timers/promises';
import { MEAN_STREAM_AGE_MS, renewalIntervalMs } from '../src/capacity/load.ts';
import { CALL_KINDS } from '../src/capacity/traffic.ts';
import {
  batchOf,
  type CallCost,
  type CallKind,
  NAME_BYTES,
  OWNER_BYTES,
} from '../src/capacity/unit-costs.ts';
import { formatHostPort } from '../src/domain/host-port.ts';
import { LIMITS } from '../src/domain/limits.ts';
import type { ServerProcess } from '../test/support/server-process.ts';
import { median } from './figures.ts';
import type { Renewals } from './load-order.ts';
import { type Backend, type LoadGenerator, type Rig, usageOf } from './rig.ts';
import type { Found } from './scenario.ts';
import { areWaiting, DEPLOYED, LONG_TTL } from './unit-memory.ts';

/** Written to a file and to a replica, as in a deployment; its rewrite would disturb what is measured. */
export const WRITTEN = [...DEPLOYED, 'appendonly yes', 'auto-aof-rewrite-percentage 0'];
const ROUNDS = 5;
/** Of what is only renewed: so long that no lock is looked at meanwhile, and each lease is renewed every 12 s. */
const TTL_MS = 120_000;
const WAITERS = 2_000;
const FEW_STREAMS = 500;
/** Of what is looked at: so short that it is looked at often. */
const LOOKED_TTL_MS = 10_000;
const LOOKED_STREAMS = 4_000;
/** Of what a client holds: so long that only the opening of another stream renews it. */
const CLIENT_TTL_MS = 600_000;
const CLIENT_LEASES = 2_000;

type Costs = { -readonly [Name in keyof CallCost]: number };

export async function unitTraffic(rig: Rig, quick: boolean): Promise<readonly Found[]> {
  const count = quick ? 2_000 : 5_000;
  const backend = await untouched(rig);
  const server = await rig.leasehold(backend, LONG_TTL);
  const generator = rig.generator();
  const call = {
    kind: 'unit-calls' as const,
    address: formatHostPort(server.address),
    nameBytes: NAME_BYTES,
    ownerBytes: OWNER_BYTES,
  };
  for (const what of ['acquire', 'release', 'record', 'claim', 'update', 'complete'] as const) {
    await generator.order({ ...call, what, count: 1_000 });
  }
  const idle = await perSecond(server, backend, quick ? 3_000 : 8_000);
  const found = figuresOf('idle', idle);
  const samples = new Map(CALL_KINDS.map((what): [CallKind, CallCost[]] => [what, []]));
  for (let round = 0; round < (quick ? 1 : ROUNDS); round++) {
    for (const what of CALL_KINDS) {
      // Leases that are renewed are released afterwards; `waited` has locks of its own.
      const all = await during(server, backend, idle, () => generator.order({ ...call, what, count }));
      samples.get(what)?.push(divided(all, count));
    }
  }
  for (const [what, each] of samples) {
    found.push(
      ...figuresOf(
        `calls.${what}`,
        costs((name) => median(each.map((cost) => cost[name]))),
      ),
    );
  }
  await generator.order({ ...call, what: 'acquire', count: WAITERS / 20 });
  await generator.order({ ...call, what: 'wait', count: WAITERS, queues: WAITERS / 20 });
  await areWaiting(backend, WAITERS);
  // Waiting calls ask again every 10 s.
  const seconds = quick ? 10 : 20;
  const waiting = await during(server, backend, idle, () => sleep(seconds * 1_000));
  found.push(...figuresOf('waiting', divided(waiting, WAITERS * seconds)));
  await generator.close();
  await server.stop();
  return [...found, ...(await streams(rig, idle, quick))];
}

export async function streams(rig: Rig, idle: CallCost, quick: boolean): Promise<readonly Found[]> {
  const forMs = quick ? 12_000 : 24_000;
  const few = await held(rig, await untouched(rig), idle, FEW_STREAMS, TTL_MS, forMs);
  const many = await held(rig, await untouched(rig), idle, quick ? 5_000 : 20_000, TTL_MS, forMs);
  // Each renewal costs something, and a part of its batch: two unknowns, from a small batch and a large one.
  const batch = costs((name) =>
    Math.max((few.each[name] - many.each[name]) / (1 / few.batch - 1 / many.batch), 0),
  );
  const renewal = costs((name) => Math.max(many.each[name] - batch[name] / many.batch, 0));
  const looked = await held(
    rig,
    await untouched(rig),
    idle,
    LOOKED_STREAMS,
    LOOKED_TTL_MS,
    3 * LOOKED_TTL_MS,
  );
  const look = costs((name) => {
    const renewals = looked.renewals * (renewal[name] + batch[name] / looked.batch);
    return Math.max(looked.all[name] - renewals, 0) / looked.looks;
  });
  return [
    ...figuresOf('renewal', renewal),
    ...figuresOf('renewalBatch', batch),
    ...figuresOf('look', look),
    ...figuresOf('takeOver', await takeOvers(rig, await untouched(rig), idle, renewal, batch)),
    { name: 'server.emptyBytes', unit: 'B', value: many.emptyBytes, better: 'less' },
    { name: 'server.streamBytes', unit: 'B', value: many.streamBytes, better: 'less' },
  ];
}

/** Leases of an earlier load, whose streams have ended, would lapse while another one is measured. */
async function untouched(rig: Rig): Promise<Backend> {
  const backend = await rig.redis(WRITTEN);
  await rig.replicaOf(backend);
  return backend;
}

async function held(rig: Rig, backend: Backend, idle: CallCost, count: number, ttlMs: number, forMs: number) {
  const server = await rig.leasehold(backend, LONG_TTL);
  const generator: LoadGenerator = rig.generator();
  const { memoryBytes: emptyBytes } = await usageOf(server, 'usage-after-collection');
  await generator.order({
    kind: 'hold',
    address: formatHostPort(server.address),
    streams: count,
    ttlMs,
  });
  await generator.order({ kind: 'watch', forMs: renewalIntervalMs(ttlMs) });
  let seen: Renewals | undefined;
  const looksBefore = await looksOf(backend);
  const all = await during(server, backend, idle, async () => {
    seen = await generator.order<Renewals>({ kind: 'watch', forMs });
  });
  const looks = (await looksOf(backend)) - looksBefore;
  const { memoryBytes } = await usageOf(server, 'usage-after-collection');
  await generator.order({ kind: 'end' });
  await generator.close();
  await server.stop();
  const { renewals = 0, tookMs = 1, lost = 0 } = seen ?? {};
  if (lost > 0) throw new Error(`${lost} leases were lost: the machine is too busy to measure on`);
  return {
    all,
    renewals,
    looks,
    each: divided(all, renewals),
    batch: batchOf((renewals / tookMs) * 1_000),
    emptyBytes,
    streamBytes: (memoryBytes - emptyBytes) / count,
  };
}

/** Each look at a lock moves it in the index of deadlines, and while leases are only renewed nothing else does. */
async function looksOf({ redis }: Backend): Promise<number> {
  return Number(/calls=(\d+)/.exec((await redis.info('commandstats')).get('cmdstat_zadd') ?? '')?.[1] ?? 0);
}

/** What it costs that a client opens its streams anew, beside the renewal that comes with it. */
async function takeOvers(
  rig: Rig,
  backend: Backend,
  idle: CallCost,
  renewal: CallCost,
  batch: CallCost,
): Promise<CallCost> {
  const server = await rig.leasehold(backend, LONG_TTL);
  const generator = rig.generator();
  await generator.order({
    kind: 'hold-by-client',
    address: formatHostPort(server.address),
    leases: CLIENT_LEASES,
    ttlMs: CLIENT_TTL_MS,
  });
  await sleep(2 * MEAN_STREAM_AGE_MS); // until the streams of all have their age
  const all = await during(server, backend, idle, () => sleep(3 * MEAN_STREAM_AGE_MS));
  await generator.order({ kind: 'end' });
  await generator.close();
  await server.stop();
  const each = divided(all, 3 * CLIENT_LEASES);
  return costs((name) => Math.max(each[name] - renewal[name] - batch[name] / LIMITS.keepAliveLeases, 0));
}

function figuresOf(name: string, cost: CallCost): Found[] {
  return Object.entries(cost).map(([part, value]) => ({
    name: `${name}.${part}`,
    unit: part.endsWith('Us') ? 'us' : 'B',
    value,
    better: 'less',
  }));
}

/** What the work cost, without what an idle server costs in the same time. */
async function during(
  server: ServerProcess,
  backend: Backend,
  idle: CallCost,
  work: () => Promise<unknown>,
): Promise<CallCost> {
  const startedMs = performance.now();
  const before = await spent(server, backend);
  await work();
  const after = await spent(server, backend);
  const seconds = (performance.now() - startedMs) / 1_000;
  return costs((name) => Math.max(after[name] - before[name] - idle[name] * seconds, 0));
}

async function perSecond(server: ServerProcess, backend: Backend, forMs: number): Promise<CallCost> {
  const nothing = costs(() => 0);
  return divided(await during(server, backend, nothing, () => sleep(forMs)), forMs / 1_000);
}

function divided(all: CallCost, by: number): CallCost {
  return costs((name) => all[name] / by);
}

function costs(of: (name: keyof CallCost) => number): CallCost {
  const cost: Costs = {
    serverCpuUs: 0,
    redisCpuUs: 0,
    redisInBytes: 0,
    redisOutBytes: 0,
    replicationBytes: 0,
    aofBytes: 0,
  };
  for (const name of Object.keys(cost) as (keyof CallCost)[]) cost[name] = of(name);
  return cost;
}

/** Since the start of both. */
async function spent(server: ServerProcess, { redis }: Backend): Promise<CallCost> {
  const { cpuUs } = await usageOf(server);
  const parts = await Promise.all(
    ['cpu', 'stats', 'replication', 'persistence'].map((part) => redis.info(part)),
  );
  const info = new Map(parts.flatMap((part) => [...part]));
  const number = (name: string): number => Number(info.get(name) ?? Number.NaN);
  return {
    serverCpuUs: cpuUs,
    redisCpuUs: (number('used_cpu_user') + number('used_cpu_sys')) * 1e6,
    redisInBytes: number('total_net_input_bytes'),
    // What replicas get is counted in both.
    redisOutBytes: number('total_net_output_bytes') - number('total_net_repl_output_bytes'),
    replicationBytes: number('master_repl_offset'),
    aofBytes: number('aof_current_size'),
  };
}
