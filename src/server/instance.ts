// Puts one instance together from its configuration: store, services, gRPC server, admin port. Owns their
// start and their end in the right order, and what is logged of them; the process around it (arguments,
// signals) is serve-process.ts.

import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { AdminServer } from '../admin/admin-server.ts';
import { Metrics } from '../admin/metrics.ts';
import type { Config } from '../config/config.ts';
import { type Clock, systemClock } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import { packageInfo } from '../package-info.ts';
import { CallStamps } from '../service/call.ts';
import { ForceRelease } from '../service/force-release.ts';
import { LeaseStreams } from '../service/lease-streams.ts';
import { LockService } from '../service/lock-service.ts';
import { LockWatch } from '../service/lock-watch.ts';
import { RenewalWheel } from '../service/renewal-wheel.ts';
import { leaseRenewals } from '../service/renewals.ts';
import { ServerInfoService } from '../service/server-info-service.ts';
import { WaitRoom } from '../service/wait-room.ts';
import type { Store } from '../store/store.ts';
import { GrpcServer } from '../transport/grpc-server.ts';
import { lockHandlers } from '../transport/lock-handlers.ts';
import { longrunningHandlers } from '../transport/longrunning-handlers.ts';
import { operationHandlers } from '../transport/operation-handlers.ts';
import { openAuthorization } from './open-authorization.ts';
import { openStore } from './open-store.ts';
import { assembleOperations } from './operation-side.ts';

/** What the log says of an instance when it serves. */
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
  /** Where the gRPC port is bound: the configured port, or the one that was free where that was 0. */
  readonly address: HostPort;
  readonly adminAddress: HostPort | undefined;
  readonly store: Store;
  /** Reads the callers' tokens again; undefined where callers need none. */
  readonly reloadTokens: (() => void) | undefined;
  /** Whether calls should be sent here. */
  ready(): boolean;
  /** What Prometheus scrapes. */
  metricsText(): Promise<string>;
  /** Drains and ends everything; resolves when nothing is left. */
  stop(): Promise<void>;
}

const EMBEDDED_TIMEOUT_MS = 1_000;
/** What is left of the drain timeout is for the bytes of their ends. */
const STREAMS_PART_OF_DRAIN = 0.75;

export interface Surroundings {
  readonly clock?: Clock;
  /** From 0 to below 1. */
  readonly random?: () => number;
  /** The store was found to be unfit before it was ever used: another deployment's data, or an evicting Redis. */
  readonly onRefused?: (reason: string) => void;
  /** Given where it is one of several behind one port: its number. */
  readonly worker?: number;
}

/**
 * Starts serving. Does not wait for Redis: until it is usable, calls answer UNAVAILABLE and health says
 * NOT_SERVING. Rejects when a port can't be bound.
 */
export async function serve(
  config: Config,
  log: Logger,
  { clock = systemClock, random = Math.random, onRefused = () => {}, worker }: Surroundings = {},
): Promise<Instance> {
  const { version, protoFolder } = packageInfo();
  const instanceId = randomBytes(8).toString('hex');
  let callsInProgress = 0;

  const { authorization, reload: reloadTokens } = openAuthorization(config, log);
  const metrics = new Metrics(worker?.toString());
  const store = openStore({
    config,
    instanceId,
    clock,
    random,
    observer: {
      commandEnded: (name, outcome, tookMs) => metrics.commandEnded(name, outcome, tookMs),
      event: (level, message, facts) => log[level](facts, message),
    },
  });
  const { maxTtlMs, defaultTtlMs } = config.locks;
  const { maxMessageBytes } = config.server;
  const info = new ServerInfoService({
    store,
    clock,
    version,
    instanceId,
    maxTtlMs,
    defaultTtlMs,
    maxMessageBytes,
    minAcks: config.redis?.minAcks ?? 0,
  });
  metrics.observe({ version, instanceId, status: () => store.status(), ready: () => info.ready() });
  const commandTimeoutMs = config.redis?.commandTimeoutMs ?? EMBEDDED_TIMEOUT_MS;
  const stamps = new CallStamps(instanceId);
  const common = { store: store.locks, clock, commandTimeoutMs };
  const waitRoom = new WaitRoom({ ...common, instanceId, random });
  const wheel = new RenewalWheel({
    renewals: leaseRenewals(store.locks),
    clock,
    commandTimeoutMs,
    random,
    onDefect: (thrown) => log.error({ err: thrown }, 'a defect while leases were renewed'),
  });
  const watch = new LockWatch(common);
  const operations = assembleOperations({
    store: store.operations,
    clock,
    random,
    stamps,
    commandTimeoutMs,
    maxTtlMs,
    log,
  });
  metrics.observeHolding({
    ...operations.counts,
    waitingCalls: () => waitRoom.size,
    keptLeases: () => wheel.size,
    watches: () => watch.size + operations.counts.watches(),
  });
  const streams = new LeaseStreams({ ...common, waitRoom, wheel, stamps, maxTtlMs });
  const locks = new LockService({
    ...common,
    waitRoom,
    stamps,
    onMutation: log.isLevelEnabled('debug') ? (record) => log.debug(record, 'mutation') : undefined,
  });
  const force = new ForceRelease({ ...common, audit: (record) => log.info(record, 'force release') });
  const bounds = { maxTtlMs, defaultTtlMs, replicatedMinAcks: config.redis?.replicatedMinAcks };
  const environment = {
    clock,
    authorization,
    observer: {
      callBegan: () => {
        callsInProgress++;
      },
      callEnded: (method: string, code: string, tookMs: number) => {
        callsInProgress--;
        metrics.callEnded(method, code, tookMs);
      },
      defect: (method: string, thrown: unknown) => log.error({ method, err: thrown }, 'a defect'),
    },
  };
  const stopWatching = watchStore(store, config, info, log, onRefused);
  try {
    const { server, address } = await GrpcServer.start({
      ...config.server,
      reflectionFolder: config.server.reflection ? protoFolder : undefined,
      lockHandlers: lockHandlers(locks, streams, watch, info, force, bounds, environment),
      operationHandlers: operationHandlers(operations.services, bounds, environment),
      longrunningHandlers: longrunningHandlers(operations.services, environment),
      ready: () => info.ready(),
      callsInProgress: () => callsInProgress,
      clock,
    });
    const { admin: adminConfig } = config;
    const admin =
      adminConfig &&
      (await AdminServer.start(adminConfig.address, metrics, () => info.ready()).catch(async (error) => {
        info.drain();
        await server.stop();
        throw error;
      }));
    const facts: ServingFacts = {
      version,
      instanceId,
      address: formatHostPort(address),
      admin: admin && formatHostPort(admin.address),
      store: store.status().kind,
      tls: config.server.tls ? (config.server.tls.clientCaFile ? 'mutual' : 'server') : 'off',
      callers: config.auth.tokensFile === undefined ? 'anybody' : 'with tokens',
    };
    // "serving" is said once: of several workers, by whoever knows that all of them do.
    log.info(facts, worker === undefined ? 'serving' : 'worker serving');
    const stop = async (): Promise<void> => {
      log.info({ callsInProgress, keptLeases: wheel.size }, 'draining');
      info.drain();
      server.updateHealth(); // before anyone is told to move, so that nobody is sent here again
      locks.drain();
      watch.drain();
      const streamsEndMs = STREAMS_PART_OF_DRAIN * config.server.drainTimeoutMs;
      streams.drain(streamsEndMs);
      operations.drain(streamsEndMs);
      await server.stop();
      wheel.close();
      operations.close();
      waitRoom.close();
      stopWatching();
      await store.close();
      await admin?.stop();
      log.info('stopped');
    };
    return {
      facts,
      address,
      adminAddress: admin?.address,
      store,
      reloadTokens,
      ready: () => info.ready(),
      metricsText: () => metrics.text(),
      stop,
    };
  } catch (error) {
    stopWatching();
    await store.close();
    throw error;
  }
}

function watchStore(
  store: Store,
  config: Config,
  info: ServerInfoService,
  log: Logger,
  onRefused: (reason: string) => void,
): () => void {
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
