// The gRPC server: its address and credentials, its limits, its services, its health, and its orderly end. The handlers
// say what the rpcs do.

import { OperationsDefinition, OperationsService } from '../../generated/google/longrunning/operations.ts';
import { LockServiceDefinition, LockServiceService } from '../../generated/leasehold/v1/lock_service.ts';
import {
  OperationStoreServiceDefinition,
  OperationStoreServiceService,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import { bindFailure } from '../domain/bind-failure.ts';
import { type Clock, pause } from '../domain/clock.ts';
import type { HostPort } from '../domain/host-port.ts';
import { Dispatcher } from './grpc/dispatcher.ts';
import type { ConnectionLimits } from './grpc/grpc-connection.ts';
import { Listener, type SessionLimits } from './grpc/listener.ts';
import { type Handlers, rpcsOf } from './grpc/rpc.ts';
import type { ServerPems } from './grpc/server-sockets.ts';
import { HealthService } from './health-service.ts';
import { LoadShedding, type SheddingObserver } from './load-shedding.ts';
import { reflectionRpcs } from './reflection.ts';
import { serviceDefinition } from './service-definition.ts';

/** What the server proves itself with, which may change while it serves. */
export interface ServerCertificates {
  readonly current: ServerPems;
  /** Looks again; resolves to whether there are others now. Doesn't reject. */
  refreshed(): Promise<boolean>;
}

export interface GrpcServerOptions {
  readonly address: HostPort;
  /** undefined: plain text. */
  readonly tls: ServerCertificates | undefined;
  readonly maxMessageBytes: number;
  readonly maxConcurrentStreams: number;
  readonly maxConnectionAgeMs: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly drainTimeoutMs: number;
  /** Whether tools may ask which services there are. */
  readonly reflection: boolean;
  readonly lockHandlers: Handlers<LockServiceService>;
  readonly operationHandlers: Handlers<OperationStoreServiceService>;
  readonly longrunningHandlers: Handlers<OperationsService>;
  /**
   * Readiness: what the health service says of the services. The process itself ("") is SERVING as long as it lives.
   */
  readonly ready: () => boolean;
  /** Calls without an answer so far. */
  readonly callsInProgress: () => number;
  /** Hears of calls that are refused because there are too many. */
  readonly shedding: SheddingObserver;
  readonly clock: Clock;
}

const SERVICES = [
  'leasehold.v1.LockService',
  'leasehold.v1.OperationStoreService',
  'google.longrunning.Operations',
];
const HEALTH_POLL_MS = 250;
/** Certificates are renewed days before they end, and nothing tells of a new file on every file system. */
const CERTIFICATE_POLL_MS = 5_000;
const DRAIN_POLL_MS = 20;
/** How long the bytes of the last answer may take. */
const CLOSE_GRACE_MS = 500;

/** Limits that nobody configures. */
const LIMITS = {
  handshakeMs: 10_000,
  idleMs: 5 * 60_000,
  heldBytes: 4 * 1_024 * 1_024,
  headerBytes: 16_384,
  sessionMemoryMb: 32,
  // A client that gives up ten thousand waiting calls at once is none to be afraid of: what was reset before its end
  // isn't executed.
  resetBurst: 10_000,
  resetsPerSecond: 1_000,
  invalidFrames: 1_000,
  rejectedStreams: 100,
};

export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #listener: Listener;
  readonly #health = new HealthService(SERVICES);
  readonly #stopped = new AbortController();
  #ready = false;

  private constructor(options: GrpcServerOptions) {
    const { lockHandlers, operationHandlers, longrunningHandlers, reflection, tls, clock } = options;
    this.#options = options;
    const rpcs = [
      ...rpcsOf(serviceDefinition(LockServiceService, LockServiceDefinition), lockHandlers),
      ...rpcsOf(
        serviceDefinition(OperationStoreServiceService, OperationStoreServiceDefinition),
        operationHandlers,
      ),
      ...rpcsOf(serviceDefinition(OperationsService, OperationsDefinition), longrunningHandlers),
      ...this.#health.rpcs(),
      ...(reflection ? reflectionRpcs() : []),
    ];
    const paths = rpcs.map(({ path }) => path);
    const shedding = new LoadShedding(paths, clock, options.shedding);
    const dispatcher = new Dispatcher({
      rpcs,
      messageBytes: options.maxMessageBytes,
      refusalOf: (path) => shedding.refusalOf(path),
    });
    this.#listener = new Listener({ dispatcher, tls: tls?.current, limits: limitsOf(options), clock });
  }

  /** Binds and serves. Rejects when the address can't be bound. */
  static async start(options: GrpcServerOptions): Promise<{ server: GrpcServer; address: HostPort }> {
    const server = new GrpcServer(options);
    const port = await server.#start();
    return { server, address: { host: options.address.host, port } };
  }

  async #start(): Promise<number> {
    const { address, tls } = this.#options;
    this.updateHealth();
    const port = await this.#listener.listen(address).catch((error: Error) => {
      throw bindFailure('server.address', address, error.message);
    });
    void this.#watchHealth();
    if (tls) void this.#watchCertificates(tls);
    return port;
  }

  /**
   * Brings the health service up to date. Called on each change that may matter, and now and then by the server itself.
   */
  updateHealth(): void {
    const ready = this.#options.ready();
    if (ready === this.#ready) return;
    this.#ready = ready;
    this.#health.setReady(ready);
  }

  /** Open connections of clients. */
  get connections(): number {
    return this.#listener.size;
  }

  /**
   * Ends in order: takes no new connections, lets calls in progress finish within the drain timeout, then closes
   * everything. The caller makes `ready` false before, so that load balancers stop sending.
   */
  async stop(): Promise<void> {
    this.updateHealth();
    this.#stopped.abort();
    const { clock, drainTimeoutMs, callsInProgress } = this.#options;
    const giveUpMs = clock.monotonicMs() + drainTimeoutMs;
    const finished = this.#listener.close(drainTimeoutMs + CLOSE_GRACE_MS);
    while (callsInProgress() > 0 && clock.monotonicMs() < giveUpMs) await pause(clock, DRAIN_POLL_MS);
    this.#health.endWatches();
    const leftMs = Math.max(0, giveUpMs - clock.monotonicMs());
    const closed = new AbortController(); // else the timer would outlive an end that came sooner
    await Promise.race([finished, pause(clock, leftMs + 2 * CLOSE_GRACE_MS, closed.signal)]);
    closed.abort();
    this.#listener.destroy();
  }

  async #watchHealth(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await pause(this.#options.clock, HEALTH_POLL_MS, this.#stopped.signal);
      this.updateHealth();
    }
  }

  async #watchCertificates(tls: ServerCertificates): Promise<void> {
    for (;;) {
      await pause(this.#options.clock, CERTIFICATE_POLL_MS, this.#stopped.signal);
      if (this.#stopped.signal.aborted) return;
      if (await tls.refreshed()) this.#listener.replaceCertificates(tls.current);
    }
  }
}

function limitsOf(options: GrpcServerOptions): ConnectionLimits & SessionLimits {
  const { keepaliveTimeMs, keepaliveTimeoutMs, maxConnectionAgeMs, maxConcurrentStreams } = options;
  return {
    ...LIMITS,
    ageMs: maxConnectionAgeMs,
    graceMs: keepaliveTimeMs, // a connection that closes can't be pinged: it lasts no longer than a dead client would
    keepaliveTimeMs,
    keepaliveTimeoutMs,
    concurrentStreams: maxConcurrentStreams,
    heldBytes: Math.max(LIMITS.heldBytes, 2 * options.maxMessageBytes),
  };
}
