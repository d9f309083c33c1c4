// The gRPC server: its address and credentials, its limits, its services, its health, and its orderly end. The handlers
// say what the rpcs do.

import { Server, ServerCredentials, type ServerOptions } from '@grpc/grpc-js';
import {
  OperationsDefinition,
  type OperationsServer,
  OperationsService,
} from '../../generated/google/longrunning/operations.ts';
import {
  LockServiceDefinition,
  type LockServiceServer,
  LockServiceService,
} from '../../generated/leasehold/v1/lock_service.ts';
import {
  OperationStoreServiceDefinition,
  type OperationStoreServiceServer,
  OperationStoreServiceService,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import { bindFailure } from '../domain/bind-failure.ts';
import { type Clock, pause } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import { HealthService } from './health-service.ts';
import { OpenConnections } from './open-connections.ts';
import { addReflection } from './reflection.ts';
import { RotatingCredentials, type ServerPems } from './rotating-credentials.ts';
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
  readonly lockHandlers: LockServiceServer;
  readonly operationHandlers: OperationStoreServiceServer;
  readonly longrunningHandlers: OperationsServer;
  /**
   * Readiness: what the health service says of the services. The process itself ("") is SERVING as long as it lives.
   */
  readonly ready: () => boolean;
  /** Calls without an answer so far. */
  readonly callsInProgress: () => number;
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
const SESSION_MEMORY_MB = 32;

export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #server: Server;
  readonly #health = new HealthService(SERVICES);
  readonly #stopped = new AbortController();
  #connections: OpenConnections | undefined;
  #boundAddress = '';
  #ready = false;

  private constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#server = new Server(channelOptions(options));
  }

  /** Binds and serves. Rejects when the address can't be bound. */
  static async start(options: GrpcServerOptions): Promise<{ server: GrpcServer; address: HostPort }> {
    const server = new GrpcServer(options);
    const port = await server.#start();
    return { server, address: { host: options.address.host, port } };
  }

  async #start(): Promise<number> {
    const { address, tls, lockHandlers, operationHandlers, longrunningHandlers, reflection } = this.#options;
    this.#server.addService(serviceDefinition(LockServiceService, LockServiceDefinition), lockHandlers);
    this.#server.addService(
      serviceDefinition(OperationStoreServiceService, OperationStoreServiceDefinition),
      operationHandlers,
    );
    this.#server.addService(serviceDefinition(OperationsService, OperationsDefinition), longrunningHandlers);
    this.#health.addTo(this.#server);
    if (reflection) addReflection(this.#server);
    this.updateHealth();
    const rotating = tls && new RotatingCredentials(tls.current);
    const credentials = rotating ?? ServerCredentials.createInsecure();
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(formatHostPort(address), credentials, (error, bound) =>
        error ? reject(bindError(address, error)) : resolve(bound),
      );
    });
    this.#connections = new OpenConnections(port);
    this.#boundAddress = formatHostPort({ host: address.host, port });
    void this.#watchHealth();
    if (tls && rotating) void this.#watchCertificates(tls, rotating);
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
    return this.#connections?.size ?? 0;
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
    // drain() destroys the connections that are left at the end, and must come before tryShutdown() to know them.
    // forceShutdown() alone would leave them open for ever: without channelz, grpc-js doesn't note them for it, and one
    // client that never ends its stream would keep the process from stopping.
    this.#server.drain(this.#boundAddress, drainTimeoutMs + CLOSE_GRACE_MS);
    const finished = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    while (callsInProgress() > 0 && clock.monotonicMs() < giveUpMs) await pause(clock, DRAIN_POLL_MS);
    this.#health.endWatches();
    const leftMs = Math.max(0, giveUpMs - clock.monotonicMs());
    const closed = new AbortController(); // else the timer would outlive an end that came sooner
    await Promise.race([finished, pause(clock, leftMs + 2 * CLOSE_GRACE_MS, closed.signal)]);
    closed.abort();
    this.#server.forceShutdown();
    this.#connections?.close();
  }

  async #watchHealth(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await pause(this.#options.clock, HEALTH_POLL_MS, this.#stopped.signal);
      this.updateHealth();
    }
  }

  async #watchCertificates(tls: ServerCertificates, credentials: RotatingCredentials): Promise<void> {
    for (;;) {
      await pause(this.#options.clock, CERTIFICATE_POLL_MS, this.#stopped.signal);
      if (this.#stopped.signal.aborted) return;
      if (await tls.refreshed()) credentials.replace(tls.current);
    }
  }
}

// grpc-js wraps the one reason in a sentence about addresses that it resolved. The reason begins with "bind" in a
// worker of the server, for which another process listens.
function bindError(address: HostPort, { message }: Error): Error {
  return bindFailure('server.address', address, /\[((?:listen|bind) .*)\]/.exec(message)?.[1] ?? message);
}

function channelOptions(options: GrpcServerOptions): ServerOptions {
  return {
    'grpc.max_receive_message_length': options.maxMessageBytes,
    'grpc.max_concurrent_streams': options.maxConcurrentStreams,
    // Without a grace, and still an old connection doesn't last: grpc-js closes the session, Node fails each ping on a
    // session that closes, and grpc-js takes that for a dead client. Clients go on with a new connection.
    'grpc.max_connection_age_ms': options.maxConnectionAgeMs,
    'grpc.keepalive_time_ms': options.keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs,
    'grpc-node.max_session_memory': SESSION_MEMORY_MB,
    'grpc.enable_channelz': 0,
  };
}
