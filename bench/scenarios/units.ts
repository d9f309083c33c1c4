// What one of each costs: the figures from which `leasehold capacity` makes its plans. A full run writes them into
// src/capacity/unit-figures.ts (unit-figures-file.ts); the names of the figures are the paths in that file.
import { setTimeout as sleep } from 'node:timers/promises';
import { calibrate } from '../../src/capacity/calibration.ts';
import { NAME_BYTES, OWNER_BYTES } from '../../src/capacity/unit-costs.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { wakefulClock } from '../../src/domain/clock.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { eventually } from '../../test/support/eventually.ts';
import type { Backend, Rig } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';
import { LONG_TTL, recordedBytes, unitMemory } from '../unit-memory.ts';
import { unitTraffic, WRITTEN } from '../unit-traffic.ts';

const MIB = 2 ** 20;
/** Enough writes to see what they copy, and few enough that they don't meet on the same pages. */
const WRITES = 400;
/** Slows a snapshot of so many keys down to seconds: by so many microseconds for each key. */
const SLOWER_PER_KEY_US = 200;

export const units: Scenario = {
  name: 'units',
  title: 'What one of each costs, for leasehold capacity',
  async run(rig, { quick }) {
    const count = quick ? 4_000 : 20_000;
    return [
      ...(await unitMemory(rig, count)),
      ...(await unitTraffic(rig, quick)),
      ...(await snapshots(rig, count)),
      ...(await calibration(rig)),
    ];
  },
};

async function snapshots(rig: Rig, count: number): Promise<readonly Found[]> {
  const backend = await rig.redis(WRITTEN);
  const server = await rig.leasehold(backend, LONG_TTL);
  const generator = rig.generator();
  const call = {
    kind: 'unit-calls' as const,
    address: formatHostPort(server.address),
    nameBytes: NAME_BYTES,
    ownerBytes: OWNER_BYTES,
  };
  await generator.order({ ...call, what: 'acquire', count });
  await generator.order({ ...call, what: 'record', count: count / 4 });
  const used = await recordedBytes(backend);
  const tookMs: number[] = [];
  for (let round = 0; round < 3; round++) tookMs.push(await timed(() => rewritten(backend)));
  const size = Number((await backend.redis.info('persistence')).get('aof_base_size'));
  const quiet = await copied(backend, () => sleep(200));
  const renewals = await copied(backend, () => generator.order({ ...call, what: 'renew', count: WRITES }));
  const calls = await copied(backend, () => generator.order({ ...call, what: 'acquire', count: WRITES }));
  await generator.close();
  await server.stop();
  const figures: [string, string, number][] = [
    ['fileShare', '', size / used],
    ['msPerMib', 'ms', Math.min(...tookMs) / (used / MIB)],
    ['copiedPerRenewal', 'B', Math.max(renewals - quiet, 0) / WRITES],
    ['copiedPerCall', 'B', Math.max(calls - quiet, 0) / WRITES],
  ];
  return figures.map(([name, unit, value]) => ({ name: `snapshot.${name}`, unit, value, better: 'less' }));
}

async function rewritten({ redis }: Backend): Promise<void> {
  await redis.withClient((client) => client.bgrewriteaof());
  const isOver = async () => (await redis.info('persistence')).get('aof_rewrite_in_progress') === '0';
  await eventually(isOver, { what: 'the end of the rewrite', withinMs: 60_000, everyMs: 2 });
}

/** Bytes that were copied because of the work, and of what Redis does anyway, while a slow snapshot was taken. */
async function copied({ redis }: Backend, work: () => Promise<unknown>): Promise<number> {
  await redis.withClient(async (client) => {
    await client.config('SET', 'rdb-key-save-delay', SLOWER_PER_KEY_US);
    await client.bgsave();
  });
  await work();
  const { saving } = { saving: (await redis.info('persistence')).get('rdb_bgsave_in_progress') };
  if (saving !== '1') throw new Error('the snapshot ended before the work');
  await redis.withClient((client) => client.config('SET', 'rdb-key-save-delay', 0));
  const isOver = async () => (await redis.info('persistence')).get('rdb_bgsave_in_progress') === '0';
  await eventually(isOver, { what: 'the end of the snapshot', withinMs: 60_000, everyMs: 20 });
  return Number((await redis.info('persistence')).get('rdb_last_cow_size'));
}

/** The same measurement that `leasehold capacity --calibrate` makes elsewhere. */
async function calibration(rig: Rig): Promise<readonly Found[]> {
  const backend = await rig.redis(WRITTEN);
  await rig.replicaOf(backend);
  const { redis } = loadConfig({ env: backend.environment });
  if (!redis) throw new Error('the environment names no Redis');
  const { redisCpuUs, ownCpuUs } = await calibrate({
    redis,
    primary: backend.redis.listens,
    clock: wakefulClock,
    ownCpuUs: () => {
      const { user, system } = process.cpuUsage();
      return user + system;
    },
    signal: new AbortController().signal,
  });
  return [
    { name: 'calibration.redisCpuUs', unit: 'us', value: redisCpuUs, better: 'less' },
    { name: 'calibration.ownCpuUs', unit: 'us', value: ownCpuUs, better: 'less' },
  ];
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}
