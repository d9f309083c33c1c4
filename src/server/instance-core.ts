// What the sides and the ports of an instance are built on: who may call, the store, what is told of calls, the metrics
// and the spans. Connects to nothing by itself but through the store.

import type { Logger } from 'pino';
import { Metrics } from '../admin/metrics.ts';
import { OperationMetrics } from '../admin/operation-metrics.ts';
import { SafetyMetrics } from '../admin/safety-metrics.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../domain/clock.ts';
import type { Identity } from '../domain/inheritance.ts';
import { packageInfo } from '../package-info.ts';
import { ServerInfoService } from '../service/server-info-service.ts';
import type { Store } from '../store/store.ts';
import type { Authorization } from '../transport/authorization.ts';
import type { SheddingObserver } from '../transport/load-shedding.ts';
import type { CallObserver } from '../transport/unary-handler.ts';
import { newInstanceId } from './instance-id.ts';
import { openAuthorization } from './open-authorization.ts';
import { openStore } from './open-store.ts';
import { type OpenTracing, openTracing } from './open-tracing.ts';

export interface CoreOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly processNumber: number | undefined;
  readonly identity: Identity | undefined;
}

/** What both sides and both ports are built on. */
export interface Core {
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  readonly version: string;
  readonly instanceId: string;
  readonly authorization: Authorization;
  readonly reloadTokens: (() => void) | undefined;
  readonly metrics: Metrics;
  readonly operationMetrics: OperationMetrics;
  readonly safety: SafetyMetrics;
  readonly store: Store;
  readonly info: ServerInfoService;
  readonly calls: Calls;
  readonly tracing: OpenTracing;
}

export interface Calls {
  readonly observer: CallObserver;
  /** Calls that are not answered yet. */
  readonly inProgress: () => number;
  readonly shedding: SheddingObserver;
}

/** Throws when the tokens or the files of Redis's TLS can't be read. */
export function openCore({ config, log, clock, random, processNumber, identity }: CoreOptions): Core {
  const { version } = packageInfo();
  const instanceId = identity?.instanceId ?? newInstanceId();
  const { authorization, reload: reloadTokens } = openAuthorization(config, log);
  const metrics = new Metrics(processNumber?.toString());
  const operationMetrics = new OperationMetrics(metrics.registry);
  const store = openStore({
    config,
    instanceId,
    identity,
    clock,
    random,
    observer: {
      batchSent: (commands) => metrics.store.batchSent(commands),
      commandEnded: (name, outcome, tookMs) => metrics.store.commandEnded(name, outcome, tookMs),
      committed: (answers, tookMs) => metrics.store.committed(answers, tookMs),
      operationDied: (type) => operationMetrics.ended(type, 'dead'),
      event: (level, message, facts) => log[level](facts, message),
    },
  });
  const { maxTtlMs, defaultTtlMs } = config.locks;
  const { maxMessageBytes, maxPayloadBytes } = config.server;
  const limits = {
    maxTtlMs,
    defaultTtlMs,
    maxMessageBytes,
    maxPayloadBytes,
    minAcks: config.redis?.minAcks ?? 0,
  };
  const info = new ServerInfoService({ store, clock, version, instanceId, ...limits });
  metrics.observe({ version, instanceId, store: store.status().kind, ready: () => info.ready() });
  const safety = new SafetyMetrics(metrics.registry, store, clock);
  const calls = observeCalls(metrics, log);
  const tracing = openTracing(config, log, clock, version);
  const known = { config, log, clock, version, instanceId, tracing };
  return { ...known, authorization, reloadTokens, metrics, operationMetrics, safety, store, info, calls };
}

/** Counts the calls in progress, and tells the metrics and the log about calls. */
function observeCalls(metrics: Metrics, log: Logger): Calls {
  let inProgress = 0;
  return {
    observer: {
      serves: (method) => metrics.calls.serves(method),
      callBegan: () => {
        inProgress++;
      },
      callEnded: (method, code, tookMs) => {
        inProgress--;
        metrics.calls.callEnded(method, code, tookMs);
      },
      streamBegan: (method) => metrics.calls.streamBegan(method),
      streamEnded: (method) => metrics.calls.streamEnded(method),
      defect: (method, thrown) => log.error({ method, err: thrown }, 'a defect'),
    },
    inProgress: () => inProgress,
    shedding: {
      canRefuse: (method) => metrics.calls.canBeShed(method),
      onRefused: (method) => metrics.calls.shed(method),
      onBegin: () => log.warn('more calls than this instance can answer: new ones are refused'),
      onEnd: (facts) => log.info(facts, 'calls are no longer refused'),
    },
  };
}
