// A short measurement of this machine and its Redis, to scale figures that were measured elsewhere: a lock is taken and
// given back some thousand times, under a prefix of its own. The same was measured for unit-figures.ts, so the ratio of
// the two scales the rest. Owns what it does to Redis, and that nothing of it stays.

import { randomUUID } from 'node:crypto';
import type { RedisConfig } from '../config/config.ts';
import { redisConnection, sentinelConnection } from '../deployment/connection-settings.ts';
import { NodeLines } from '../deployment/node-lines.ts';
import { type Clock, pause, within } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import type { ConnectionSettings } from '../store/redis/connection.ts';
import { keysFor } from '../store/redis/keys.ts';
import { type RedisDeployment, RedisStore } from '../store/redis/redis-store.ts';
import type { StoreObserver } from '../store/store.ts';

export interface CalibrationOptions {
  readonly redis: RedisConfig;
  /** The node to measure: the primary. */
  readonly primary: HostPort;
  readonly clock: Clock;
  /** CPU time of this process so far, in microseconds. */
  readonly ownCpuUs: () => number;
  /** Ends it early; what it made is removed all the same. */
  readonly signal: AbortSignal;
}

export interface Calibration {
  /** Of Redis for one call. What else it does meanwhile was measured before, and is subtracted. */
  readonly redisCpuUs: number;
  /** Of this process for one call: it does what a server does between gRPC and Redis. */
  readonly ownCpuUs: number;
  readonly calls: number;
  readonly tookMs: number;
  /** What all keys began with; none is left. */
  readonly prefix: string;
}

/** Redis is watched for so long before, to learn what it does anyway. */
const WATCH_MS = 1_000;
const ROUNDS = 30;
const LOCKS = 50;
/** After each round, so that a Redis that serves others keeps most of its time for them. */
const PAUSE_MS = 50;
const USABLE_WITHIN_MS = 6_000;
const CALL_WITHIN_MS = 2_000;
const LONGEST_MS = 12_000;
const TTL_MS = 10_000;
const QUIET: StoreObserver = { commandEnded: () => {}, committed: () => {}, event: () => {} };

/** Nothing could be measured, and some of the keys may still be there. */
export class KeysLeft extends Error {}

/** Rejects when Redis can't be used, refuses what it needs, or takes too long; with KeysLeft if that left something. */
export async function calibrate(options: CalibrationOptions): Promise<Calibration> {
  const { redis, primary, clock } = options;
  const id = randomUUID().replaceAll('-', '').slice(0, 12);
  // Below the deployment's own keys, where its user may write; nothing looks for keys there.
  const prefix = `${keysFor(redis.keyPrefix).bucket}calibration-${id}:`;
  const settings = redisConnection(redis, `leasehold-calibration-${id}`, QUIET);
  const lines = new NodeLines({ settings, clock, timeoutMs: CALL_WITHIN_MS });
  try {
    await redisCpuUs(lines, primary); // a node that can't be reached says so at once, and better than the store
    return await measuredAndRemoved(options, settings, lines, prefix, id);
  } finally {
    lines.close();
  }
}

async function measuredAndRemoved(
  options: CalibrationOptions,
  settings: ConnectionSettings,
  lines: NodeLines,
  prefix: string,
  id: string,
): Promise<Calibration> {
  const { redis, primary, clock } = options;
  const store = new RedisStore({
    deployment: deploymentOf(redis, id),
    instanceId: id,
    connection: settings,
    keyPrefix: prefix,
    maxTtlMs: TTL_MS,
    rollCall: false,
    maxToldLeases: 1_000,
    hostName: 'calibration',
    maxInFlight: LOCKS,
    minAcks: 0,
    // Nobody else has ever held one of these locks.
    quarantine: false,
    bootstrapNew: true,
    allowEvictionPolicy: redis.allowEvictionPolicy,
    clock,
    observer: QUIET,
    random: () => 0.5, // spreads the retries of many; this is one
  });
  const late = (): Error => new Error(`it took longer than ${LONGEST_MS / 1_000} s`);
  const [measured] = await Promise.allSettled([
    within(clock, LONGEST_MS, measure(options, store, lines, prefix, id), late),
  ]);
  await store.close();
  const isRemoved = await removeAll(lines, primary, prefix);
  if (measured.status === 'fulfilled' && isRemoved) return measured.value;
  const why: unknown = measured.status === 'rejected' ? measured.reason : undefined;
  if (isRemoved) throw why;
  const left = `keys that begin with ${prefix} may be left on ${formatHostPort(primary)}; delete them`;
  throw new KeysLeft(why instanceof Error ? `${why.message}; ${left}` : left, { cause: why });
}

async function measure(
  { primary, clock, ownCpuUs, signal }: CalibrationOptions,
  store: RedisStore,
  lines: NodeLines,
  prefix: string,
  instanceId: string,
): Promise<Calibration> {
  await usable(store, clock, signal);
  let call = 0;
  const round = async (): Promise<void> => {
    signal.throwIfAborted();
    await Promise.all(
      Array.from({ length: LOCKS }, async (_, index) => {
        const lock = { resource: `lock-${index}`, leaseId: randomUUID() };
        const stamp = { instanceId, callNumber: 2 * call++ };
        const bound = { deadlineMs: clock.monotonicMs() + CALL_WITHIN_MS };
        const spec = {
          ...lock,
          owner: 'leasehold capacity --calibrate',
          mode: { kind: 'exclusive' } as const,
          metadata: new Map<string, string>(),
          ttlMs: TTL_MS,
          minHoldMs: 0,
          maxHoldMs: 0,
        };
        const { kind } = await store.locks.acquire({ spec, stamp, mayWait: false }, bound);
        if (kind !== 'granted') throw new Error(`a lock of its own was not granted: ${kind}`);
        await store.locks.release(lock, bound);
      }),
    );
  };
  await round(); // the first one loads the scripts, and warms this process up
  const beforeMs = clock.monotonicMs();
  const before = await redisCpuUs(lines, primary);
  await pause(clock, WATCH_MS);
  const startMs = clock.monotonicMs();
  const start = await redisCpuUs(lines, primary);
  const otherPerMs = (start - before) / (startMs - beforeMs);
  let ownUs = 0;
  for (let n = 0; n < ROUNDS; n++) {
    const ownBefore = ownCpuUs();
    await round();
    ownUs += ownCpuUs() - ownBefore;
    await pause(clock, PAUSE_MS);
  }
  const end = await redisCpuUs(lines, primary);
  const tookMs = clock.monotonicMs() - startMs;
  const calls = 2 * ROUNDS * LOCKS;
  return {
    redisCpuUs: Math.max(end - start - otherPerMs * tookMs, 1) / calls,
    ownCpuUs: ownUs / calls,
    calls: calls + 2 * LOCKS,
    tookMs: clock.monotonicMs() - beforeMs,
    prefix,
  };
}

async function usable(store: RedisStore, clock: Clock, signal: AbortSignal): Promise<void> {
  const untilMs = clock.monotonicMs() + USABLE_WITHIN_MS;
  while (!store.status().usable) {
    signal.throwIfAborted();
    if (clock.monotonicMs() > untilMs) {
      throw new Error(store.status().reason || 'no primary that a majority of the Sentinels names');
    }
    await pause(clock, 20);
  }
}

/** Most went with the release; after an end in the middle, these are all that there can be. False: they may be left. */
async function removeAll(lines: NodeLines, primary: HostPort, prefix: string): Promise<boolean> {
  const { bucket, lockPrefix } = keysFor(prefix);
  const indices = ['meta', 'deadlines', 'names'].map((name) => `${bucket}${name}`);
  const locks = Array.from({ length: LOCKS }, (_, index) => `${lockPrefix}lock-${index}`);
  const remove = (): Promise<unknown> => lines.ask(primary, 'DEL', ...locks, ...indices);
  // Once more on a new connection: the first one may have broken meanwhile.
  const removed = remove().catch(remove);
  return removed.then(
    () => true,
    () => false,
  );
}

async function redisCpuUs(lines: NodeLines, node: HostPort): Promise<number> {
  const info = String(await lines.ask(node, 'INFO', 'cpu'));
  const seconds = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1]);
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6;
}

function deploymentOf(redis: RedisConfig, id: string): RedisDeployment {
  if (redis.kind === 'single') return { kind: 'single', address: redis.address };
  const connection = sentinelConnection(redis, `leasehold-calibration-${id}`, QUIET);
  return {
    kind: 'sentinel',
    masterName: redis.masterName,
    sentinels: redis.sentinels,
    sentinelConnection: connection,
  };
}
