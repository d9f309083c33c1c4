// One Leasehold instance in this process on free ports, and the smallest client for it: promises instead of callbacks,
// and errors with their details decoded. It has no deadline rule and no retries, so tests see each answer as it came.

import { randomUUID } from 'node:crypto';
import {
  type ChannelCredentials,
  type ChannelOptions,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { pino } from 'pino';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import {
  type AcquireManyResponse,
  type AcquireRequest,
  type AcquireResponse,
  type CheckFencingTokenResponse,
  type ForceReleaseRequest,
  type ForceReleaseResponse,
  type GetLockResponse,
  type GetServerInfoResponse,
  type ListContendedLocksResponse,
  ListLocksRequest,
  type ListLocksResponse,
  type ListSuspectedDeadlocksResponse,
  LockServiceClient,
  type ReleaseResponse,
  type RenewRequest,
  type RenewResponse,
} from '../../generated/leasehold/v1/lock_service.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { type Instance, serve } from '../../src/server/instance.ts';
import { readError } from './raw-call.ts';
import type { SentinelCluster } from './redis/sentinel-cluster.ts';

/** The environment that configures an instance for tests: free ports, quiet. Overrides win. */
export function testEnvironment(overrides: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    LEASEHOLD_SERVER_ADDRESS: '127.0.0.1:0',
    LEASEHOLD_ADMIN_ADDRESS: 'off',
    LEASEHOLD_SERVER_REFLECTION: 'false',
    // Tests that count connections and commands have no others than those of the path of locks.
    LEASEHOLD_MONITORING_POLL_INTERVAL: 'off',
    LEASEHOLD_LOG_LEVEL: 'fatal',
    // The second instance on a Redis would start only after a while. Tests of the roll call switch it on.
    ...('LEASEHOLD_REDIS_ADDRESS' in overrides ? { LEASEHOLD_REDIS_ROLL_CALL: 'off' } : {}),
    ...overrides,
  };
}

/** The environment that makes an instance use a cluster; grants are possible at once on its empty Redis. */
export function clusterEnvironment(cluster: SentinelCluster, masterName: string): Record<string, string> {
  return {
    LEASEHOLD_REDIS_FAILOVER_CLUSTER: 'true',
    LEASEHOLD_REDIS_MASTER_NAME: masterName,
    LEASEHOLD_REDIS_ADDRESS: cluster.sentinelAddresses.map(formatHostPort).join(','),
    LEASEHOLD_REDIS_BOOTSTRAP: 'new',
    LEASEHOLD_REDIS_ROLL_CALL: 'off', // as testEnvironment has it, for processes too
  };
}

export function startInstance(overrides: Readonly<Record<string, string>> = {}): Promise<Instance> {
  const config = loadConfig({ env: testEnvironment(overrides) });
  return serve(config, pino({ level: process.env.LEASEHOLD_TEST_LOG ?? 'silent' }));
}

/** Milliseconds as a google.protobuf.Duration. */
export function duration(ms: number): { seconds: bigint; nanos: number } {
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: Math.round((ms % 1_000) * 1e6) };
}

/** Every reason that Leasehold gives is in its own domain. */
function refusal(error: ServiceError): Error {
  const info = readError(error).details['google.rpc.ErrorInfo'];
  if (info && info.domain !== 'leasehold')
    return new Error(`${info.reason} is of the domain "${info.domain}"`);
  return new CallError(error);
}

export class TestClient {
  readonly stub: LockServiceClient;
  readonly #open = new Set<ClientUnaryCall>();
  readonly #token: string | undefined;

  constructor(
    address: { host: string; port: number },
    channelCredentials: ChannelCredentials = credentials.createInsecure(),
    token?: string,
    channelOptions: ChannelOptions = {},
  ) {
    this.#token = token;
    this.stub = new LockServiceClient(formatHostPort(address), channelCredentials, {
      ...channelOptions,
      'grpc.enable_retries': 0,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 200,
    });
  }

  acquire(
    spec: Parameters<typeof LeaseSpec.fromPartial>[0],
    wait?: AcquireRequest['wait'],
    timeoutMs?: number,
  ): Promise<AcquireResponse> {
    const full = LeaseSpec.fromPartial({ leaseId: randomUUID(), ...spec });
    return this.#call('acquire', { spec: full, wait }, timeoutMs);
  }

  renew(
    request: Pick<RenewRequest, 'resource' | 'leaseId' | 'fencingToken'> & Partial<RenewRequest>,
  ): Promise<RenewResponse> {
    return this.#call('renew', { ttl: undefined, ...request });
  }

  acquireMany(
    specs: readonly Parameters<typeof LeaseSpec.fromPartial>[0][],
    wait?: AcquireRequest['wait'],
    timeoutMs?: number,
  ): Promise<AcquireManyResponse> {
    const full = specs.map((spec) => LeaseSpec.fromPartial({ leaseId: randomUUID(), ...spec }));
    return this.#call('acquireMany', { specs: full, wait }, timeoutMs);
  }

  checkFencingToken(resource: string, fencingToken: bigint): Promise<CheckFencingTokenResponse> {
    return this.#call('checkFencingToken', { resource, fencingToken });
  }

  release(request: { resource: string; leaseId: string }): Promise<ReleaseResponse> {
    return this.#call('release', request);
  }

  forceRelease(
    request: Pick<ForceReleaseRequest, 'resource'> & Partial<ForceReleaseRequest>,
  ): Promise<ForceReleaseResponse> {
    return this.#call('forceRelease', { immediate: false, reason: '', ...request });
  }

  getLock(resource: string): Promise<GetLockResponse> {
    return this.#call('getLock', { resource });
  }

  listLocks(request: Parameters<typeof ListLocksRequest.fromPartial>[0] = {}): Promise<ListLocksResponse> {
    return this.#call('listLocks', ListLocksRequest.fromPartial(request));
  }

  listContendedLocks(limit = 0): Promise<ListContendedLocksResponse> {
    return this.#call('listContendedLocks', { limit });
  }

  listSuspectedDeadlocks(): Promise<ListSuspectedDeadlocksResponse> {
    return this.#call('listSuspectedDeadlocks', {});
  }

  getServerInfo(): Promise<GetServerInfoResponse> {
    return this.#call('getServerInfo', {});
  }

  /** The metadata that every call of this client carries. */
  metadata(): Metadata {
    const metadata = new Metadata();
    if (this.#token !== undefined) metadata.set('authorization', `Bearer ${this.#token}`);
    return metadata;
  }

  close(): void {
    this.stub.close();
  }

  /** Cancels all calls that are not answered yet, as a client does that goes away. */
  cancelAll(): void {
    for (const call of this.#open) call.cancel();
  }

  // Every call has a deadline far above what the server promises, so that a call that hangs fails its test.
  #call<Response>(method: keyof LockServiceClient, request: object, timeoutMs = 15_000): Promise<Response> {
    return new Promise((resolve, reject) => {
      const callback = (error: ServiceError | null, response: Response): void => {
        this.#open.delete(call);
        if (error) reject(refusal(error));
        else resolve(response);
      };
      // All unary methods have this form.
      const invoke = this.stub[method] as unknown as (...args: unknown[]) => ClientUnaryCall;
      const options = { deadline: Date.now() + timeoutMs };
      const call = invoke.call(this.stub, request, this.metadata(), options, callback);
      this.#open.add(call);
    });
  }
}
