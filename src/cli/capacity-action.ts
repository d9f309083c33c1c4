// `leasehold capacity`: makes the plan for the options, after a calibration if one is asked for, and prints it. The
// arithmetic is in src/capacity, the text in capacity-text.ts.

import { type Calibration, calibrate, KeysLeft } from '../capacity/calibration.ts';
import { planFor } from '../capacity/capacity-plan.ts';
import type { Deployment, Load } from '../capacity/load.ts';
import { type Scale, scaled } from '../capacity/scale.ts';
import { STREAMS_PER_CONNECTION } from '../capacity/unit-costs.ts';
import { UNIT_FIGURES } from '../capacity/unit-figures.ts';
import { redisConnection, sentinelConnection } from '../deployment/connection-settings.ts';
import { NodeLines } from '../deployment/node-lines.ts';
import { readTopology } from '../deployment/topology.ts';
import { wakefulClock } from '../domain/clock.ts';
import type { CapacityOptions } from './capacity-options.ts';
import { planJson, planText } from './capacity-text.ts';
import { configOf } from './config-of.ts';
import { EXIT, Exit } from './exit.ts';
import { complain } from './notices.ts';
import { print, printJson, terminalWidth } from './output.ts';
import type { Env } from './program-context.ts';

const ASK_WITHIN_MS = 3_000;

export async function showCapacity(options: CapacityOptions, env: Env): Promise<void> {
  const load = loadOf(options);
  if (!options.calibrate && options.config !== undefined) {
    throw new Exit(EXIT.usage, '--config is for --calibrate: give both, or neither.');
  }
  const scale = options.calibrate ? await calibrated(options, env) : undefined;
  const figures = scale ? scaled(UNIT_FIGURES, scale) : UNIT_FIGURES;
  const plan = planFor(load, deploymentOf(options), figures);
  if (options.json) await printJson(planJson(plan, figures, scale));
  else await print(planText(plan, figures, scale, terminalWidth()));
  if (!plan.fits) throw new Exit(EXIT.no);
}

export function loadOf(options: CapacityOptions): Load {
  const { locks, waiters, queueLength, holdStreams = locks, clients, waited } = options;
  if (holdStreams > locks) {
    throw new Exit(
      EXIT.usage,
      `--hold-streams is ${holdStreams}, more than --locks (${locks}): a stream keeps a lock that is held.`,
    );
  }
  if (waiters > 0 && locks * queueLength < waiters) {
    throw new Exit(
      EXIT.usage,
      `--waiters is ${waiters}, more than fit behind --locks (${locks}) with a --queue-length of ${queueLength}.`,
    );
  }
  if (options.payload > 0 && options.operations === 0 && options.operationRate === 0) {
    throw new Exit(EXIT.usage, '--payload is of operations: give --operations or --operation-rate, too.');
  }
  return {
    locks,
    mode: options.mode,
    holdStreams,
    ratePerSecond: options.rate,
    waitedShare: (waited ?? (waiters > 0 ? 100 : 0)) / 100,
    ttlMs: options.ttl,
    waiters,
    queueLength: Math.min(queueLength, Math.max(waiters, 1)),
    operations: options.operations,
    operationsPerSecond: options.operationRate,
    payloadBytes: options.payload,
    nameBytes: options.name,
    ownerBytes: options.owner,
    metadataBytes: options.metadata,
    clients: clients ?? Math.ceil((holdStreams + waiters) / STREAMS_PER_CONNECTION),
  };
}

/** Exported, as loadOf is, for the tests of the options. */
export function deploymentOf(options: CapacityOptions): Deployment {
  return {
    replicas: options.replicas,
    sentinels: options.sentinels,
    backlogBytes: options.backlog,
    fragmentation: options.fragmentation,
    redisMemoryBytes: options.redisMemory,
    redisDiskBytes: options.redisDisk,
    networkBytesPerSecond: options.network,
    serverMemoryBytes: options.serverMemory,
  };
}

async function calibrated(options: CapacityOptions, env: Env): Promise<Scale> {
  const ending = new AbortController();
  let signalled: NodeJS.Signals | undefined;
  const end = (signal: NodeJS.Signals): void => {
    signalled = signal;
    ending.abort(new Error('interrupted'));
  };
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  try {
    const calibration = await measured(options.config, env, ending.signal);
    return {
      calibration,
      redisCpu: calibration.redisCpuUs / UNIT_FIGURES.calibration.redisCpuUs,
      serverCpu: calibration.ownCpuUs / UNIT_FIGURES.calibration.ownCpuUs,
    };
  } catch (error) {
    if (error instanceof KeysLeft) complain(`--calibrate: ${error.message}`);
    if (signalled) throw Exit.by(signalled);
    if (error instanceof KeysLeft) throw new Exit(EXIT.unavailable);
    if (error instanceof Exit) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new Exit(EXIT.unavailable, `--calibrate measured nothing, and left nothing behind: ${why}`);
  } finally {
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
  }
}

async function measured(file: string | undefined, env: Env, signal: AbortSignal): Promise<Calibration> {
  const redis = redisOf(file, env);
  const settings = redisConnection(redis, 'leasehold-capacity', { event: () => {} });
  const lines = new NodeLines({ settings, clock: wakefulClock, timeoutMs: ASK_WITHIN_MS });
  const sentinels =
    redis.kind === 'sentinel'
      ? new NodeLines({
          settings: sentinelConnection(redis, 'leasehold-capacity', { event: () => {} }),
          clock: wakefulClock,
          timeoutMs: ASK_WITHIN_MS,
        })
      : undefined;
  try {
    const { primary, silent } = await readTopology(redis, lines, sentinels);
    if (!primary) throw new Error(silent[0]?.reason ?? 'the Sentinels name no primary');
    complain(`takes and gives back locks of its own on ${primary.host}:${primary.port} for some seconds`);
    return await calibrate({
      redis,
      primary,
      clock: wakefulClock,
      ownCpuUs: () => {
        const { user, system } = process.cpuUsage();
        return user + system;
      },
      signal,
    });
  } finally {
    lines.close();
    sentinels?.close();
  }
}

function redisOf(file: string | undefined, env: Env) {
  const { redis } = configOf(file, env, EXIT.usage);
  if (redis) return redis;
  throw new Exit(EXIT.usage, '--calibrate needs a Redis: give --config a file with a redis section.');
}
