// Puts one instance together from its configuration: store, lock side, operation side, gRPC server, admin port. Owns
// their start, their end in the right order, and what the log says of both; the process around it (arguments, signals)
// is serve-process.ts.

import type { Logger } from 'pino';
import type { AdminServer } from '../admin/admin-server.ts';
import { GroupMetrics } from '../admin/group-metrics.ts';
import { LockMetrics } from '../admin/lock-metrics.ts';
import type { Config } from '../config/config.ts';
import { type Clock, machineMs, systemClock } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import type { Identity } from '../domain/inheritance.ts';
import { CallStamps } from '../service/call.ts';
import { observers } from '../service/lock-observer.ts';
import type { Store } from '../store/store.ts';
import { GrpcServer } from '../transport/grpc-server.ts';
import { lockHandlers } from '../transport/lock-handlers.ts';
import { longrunningHandlers } from '../transport/longrunning-handlers.ts';
import { operationHandlers } from '../transport/operation-handlers.ts';
import { type Core, openCore } from './instance-core.ts';
import { type LockSide, makeLockSide } from './lock-side.ts';
import { openAdminPort } from './open-admin-port.ts';
import { makeOperationSide, type OperationSide } from './operation-side.ts';
import { ServingCertificates } from './serving-certificates.ts';
import { startMonitor } from './start-monitor.ts';
import { storeAnswers } from './store-answers.ts';

/** What the log says about an instance when it begins to serve. */
export interface ServingFacts {
  readonly version: string;
  readonly instanceId: string;
  readonly address: string;
  readonly admin: string | undefined;
  readonly store: string;
  readonly tls: string;
  readonly callers: string;
}

export interface Instance {
  readonly facts: ServingFacts;
  /** Where the gRPC port is bound: the configured port, or a free one if that is 0. */
  readonly address: HostPort;
  readonly adminAddress: HostPort | undefined;
  readonly store: Store;
  /** Reads the callers' tokens again; undefined if callers need none. */
  readonly reloadTokens: (() => void) | undefined;
  /** Whether calls should be sent here. */
  ready(): boolean;
  /** What Prometheus scrapes; '' if it can't be read, which the log tells. Never rejects. */
  metricsText(): Promise<string>;
  /** Drains and ends everything; resolves when nothing is left. */
  stop(): Promise<void>;
}

const EMBEDDED_TIMEOUT_MS = 1_000;
/** The rest of the drain timeout is for the bytes that end the streams. */
const STREAMS_PART_OF_DRAIN = 0.75;

export interface Surroundings {
  readonly clock?: Clock;
  /** From 0 to below 1. */
  readonly random?: () => number;
  /** The store is unfit, and was never used: it holds another deployment's data, or it is a Redis that evicts. */
  readonly onRefused?: (reason: string) => void;
  /** The number of this server process, if several serve behind one port. */
  readonly processNumber?: number;
  /** As its supervisor knows it. Without one, it has an id of its own and no predecessor. */
  readonly identity?: Identity;
  /**
   * Takes connections only when the store answers (store-answers.ts): others serve behind the same port, and a newcomer
   * to the roll call would get connections that it can't answer on for 17.5 s.
   */
  readonly awaitsStore?: boolean;
}

/** What clients and operators connect to. */
interface Ports {
  readonly grpc: GrpcServer;
  readonly address: HostPort;
  readonly admin: AdminServer | undefined;
}

/**
 * Starts serving. Does not wait for Redis, unless it is told to: until it is usable, calls answer UNAVAILABLE and
 * health says NOT_SERVING. Rejects when a port can't be bound, or the files of TLS can't be used.
 */
export async function serve(
  config: Config,
  log: Logger,
  {
    clock = systemClock,
    random = Math.random,
    onRefused = () => {},
    processNumber,
    identity,
    awaitsStore = false,
  }: Surroundings = {},
): Promise<Instance> {
  const core = openCore({ config, log, clock, random, processNumber, identity });
  const { instanceId, metrics, store, info, calls } = core;
  const parts = {
    clock,
    random,
    stamps: new CallStamps(instanceId, identity?.inheritance ? callsOfAnHeir() : 0),
    commandTimeoutMs: config.redis?.commandTimeoutMs ?? EMBEDDED_TIMEOUT_MS,
    maxTtlMs: config.locks.maxTtlMs,
    log,
  };
  const lockMetrics = new LockMetrics(metrics.registry);
  const { groupBy: separator } = config.monitoring;
  const groups =
    separator === undefined ? [] : [new GroupMetrics({ registry: metrics.registry, separator, clock })];
  const observed = { observer: observers(lockMetrics, ...groups), keeping: lockMetrics };
  const locks = makeLockSide({
    ...parts,
    ...observed,
    store: store.locks,
    board: store.contention,
    instanceId,
  });
  const operations = makeOperationSide({
    ...parts,
    store: store.operations,
    observer: core.operationMetrics,
  });
  metrics.observeCounts({
    ...operations.counts,
    ...locks.counts,
    watches: () => locks.counts.watches() + operations.counts.watches(),
  });
  const stopWatching = watchStore(core, onRefused);
  try {
    if (awaitsStore) await storeAnswers(store, clock);
    const { grpc, address, admin } = await openPorts(core, locks, operations);
    // Of several server processes, the supervisor has the monitor.
    const monitor =
      processNumber === undefined
        ? startMonitor(config, instanceId, metrics.registry, log, clock)
        : undefined;
    const facts = servingFacts(core, address, admin?.address);
    // "serving" is said once: of several server processes, the supervisor says it when all of them serve.
    log.info(facts, processNumber === undefined ? 'serving' : 'worker serving');
    const stop = async (): Promise<void> => {
      log.info({ callsInProgress: calls.inProgress(), keptLeases: locks.counts.keptLeases() }, 'draining');
      info.drain();
      grpc.updateHealth(); // before anyone is told to move, so that nobody is sent here again
      const streamsEndMs = STREAMS_PART_OF_DRAIN * config.server.drainTimeoutMs;
      locks.drain(streamsEndMs);
      operations.drain(streamsEndMs);
      await grpc.stop();
      await locks.close();
      operations.close();
      stopWatching();
      core.safety.close();
      await store.close();
      monitor?.close();
      await admin?.stop();
      await core.tracing.flush();
      log.info('stopped');
    };
    return {
      facts,
      address,
      adminAddress: admin?.address,
      store,
      reloadTokens: core.reloadTokens,
      ready: () => info.ready(),
      metricsText: () => metrics.text().catch(noText(log)),
      stop,
    };
  } catch (error) {
    stopWatching();
    core.safety.close();
    await store.close();
    throw error;
  }
}

/**
 * Where the call numbers of a process begin that goes on with the instance id of a dead one: above all that the dead
 * one can have given, or a stamp would name a call of both. Nobody has made a call per microsecond since the machine
 * started.
 */
function callsOfAnHeir(): number {
  return 2 * Math.floor(machineMs() * 500);
}

/** A scrape that fails must not end a process that keeps leases. */
function noText(log: Logger): (thrown: unknown) => string {
  return (thrown) => {
    log.error({ err: thrown }, 'a defect while metrics were read');
    return '';
  };
}

/** Opens both ports or none. */
async function openPorts(core: Core, locks: LockSide, operations: OperationSide): Promise<Ports> {
  const { config, clock, authorization, metrics, info, calls, tracing } = core;
  const { maxTtlMs, defaultTtlMs } = config.locks;
  const { maxPayloadBytes } = config.server;
  const bounds = {
    maxTtlMs,
    defaultTtlMs,
    maxPayloadBytes,
    replicatedMinAcks: config.redis?.replicatedMinAcks,
  };
  const environment = { clock, authorization, observer: calls.observer, tracing: tracing.calls };
  const ready = (): boolean => info.ready();
  const { server: grpc, address } = await GrpcServer.start({
    ...config.server,
    tls: config.server.tls && (await ServingCertificates.open(config.server.tls, core.log)),
    reflection: config.server.reflection,
    lockHandlers: lockHandlers({ ...locks.services, info }, bounds, environment),
    operationHandlers: operationHandlers(operations.services, bounds, environment),
    longrunningHandlers: longrunningHandlers(operations.services, environment),
    ready,
    callsInProgress: calls.inProgress,
    shedding: calls.shedding,
    clock,
  });
  metrics.observeConnections(() => grpc.connections);
  try {
    return { grpc, address, admin: await openAdminPort(config, core.log, clock, metrics, ready) };
  } catch (error) {
    info.drain();
    await grpc.stop();
    throw error;
  }
}

function servingFacts(
  { config, version, instanceId, store }: Core,
  address: HostPort,
  admin: HostPort | undefined,
): ServingFacts {
  const { server, auth } = config;
  return {
    version,
    instanceId,
    address: formatHostPort(address),
    admin: admin && formatHostPort(admin),
    store: store.status().kind,
    tls: server.tls ? (server.tls.clientCaFile ? 'mutual' : 'server') : 'off',
    callers: auth.tokensFile === undefined ? 'anybody' : 'with tokens',
  };
}

/** Refuses a store that is unfit from the start; warns once when the default TTL is too short for the store. */
function watchStore({ config, log, store, info }: Core, onRefused: (reason: string) => void): () => void {
  let wasUsable = false;
  let warnedOfTtl = false;
  return store.onStatus((status) => {
    wasUsable ||= status.usable;
    if (status.mismatch && !wasUsable) onRefused(status.reason);
    const advisable = info.get().smallestAdvisableTtlMs ?? 0;
    if (status.usable && !warnedOfTtl && config.locks.defaultTtlMs < advisable) {
      warnedOfTtl = true;
      const facts = { defaultTtlMs: config.locks.defaultTtlMs, smallestAdvisableTtlMs: advisable };
      log.warn(facts, 'locks.default_ttl is so short that leases may not survive a failover');
    }
  });
}
