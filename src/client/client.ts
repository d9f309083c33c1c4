// The TypeScript client, `leasehold/client`: what users import. It talks to servers only through src/client/core, and
// contains no code of the server.
//
//   const client = createClient({ addresses: ['127.0.0.1:50051'] });
//   await client.withLock('invoice:42', async (lease) => { … lease.fencingToken … lease.signal … });
//   client.close();

import { hostname } from 'node:os';
import { bearerTokenIn } from '../domain/bearer-token.ts';
import { type Clock, wakefulClock } from '../domain/clock.ts';
import { parseHostPort } from '../domain/host-port.ts';
import { acquire, acquireMany, tryAcquire, type WantedLease } from './acquiring.ts';
import { Caller, type CallOptions } from './client-calls.ts';
import { invalidOption } from './client-errors.ts';
import { Channel } from './core/channel.ts';
import { Election, type ElectionOptions } from './election.ts';
import type { Lease } from './lease.ts';
import type { AcquireOptions } from './lease-options.ts';
import type { LeaseSet } from './lease-set.ts';
import { Locks } from './locks.ts';
import { countOf } from './number-options.ts';
import { Operations } from './operations.ts';
import { type ServerInfo, serverInfo } from './server-facts.ts';
import { inSpan, type SpanSubject } from './spans.ts';
import { type ClientTls, credentialsOf, tlsOf } from './tls-options.ts';
import { carryTrace } from './trace-context.ts';
import { underLock } from './with-lock.ts';

export type { WantedLease } from './acquiring.ts';
export { type AttemptEvent, GiveBack, type Work } from './attempt.ts';
export type { AttemptContext } from './attempt-context.ts';
export type { RecordUpdate } from './attempt-record.ts';
export type { CallOptions } from './client-calls.ts';
export {
  AttemptLostError,
  ContendedError,
  type ErrorReason,
  InvalidArgumentError,
  LeaseholdError,
  LeaseLostError,
  NotHeldError,
  OperationEndedError,
  OperationRefusedError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnavailableError,
  type Violation,
} from './client-errors.ts';
export type {
  ContendedLock,
  ContendedLocks,
  Coverage,
  DeadlockMember,
  SuspectedDeadlocks,
} from './contention-view.ts';
export type { Json } from './core/json-payload.ts';
export { RawPayload } from './core/json-payload.ts';
export type { Election, ElectionOptions, Leader } from './election.ts';
export type { AtRisk, Lease, LeaseEvent } from './lease.ts';
export type { AcquireOptions, DurabilityOption, LeaseOptions, ModeOption } from './lease-options.ts';
export type { LeaseSet } from './lease-set.ts';
export type { Lock, LockHolder, LockMode, LockState, LockWaiter } from './lock-view.ts';
export type {
  ContendedLocksOptions,
  ForceReleaseOptions,
  ListLocksOptions,
  LockChange,
  Locks,
  UnkeptLease,
  WatchLocksOptions,
} from './locks.ts';
export type { AttemptLossReason, LossReason } from './loss-reasons.ts';
export type { BeginOptions, FilterOptions } from './operation-options.ts';
export type { Operation, OperationState, Payload } from './operation-view.ts';
export type { Handled, Worker, WorkerOptions } from './operation-worker.ts';
export type {
  ListOperationsOptions,
  OperationChange,
  Operations,
  WaitOptions,
  WatchOperationsOptions,
} from './operations.ts';
export type { RunOptions } from './run-operation.ts';
export type { RollCallFacts, ServerInfo } from './server-facts.ts';
export type { ClientTls } from './tls-options.ts';
export type { WatchOptions } from './watch-loop.ts';

export interface ClientOptions {
  /** `host:port` of one or more instances; a call goes on to the next one when an instance doesn't answer. */
  readonly addresses: string | readonly string[];
  /** TLS: `true` to trust the authorities that Node.js trusts, or PEM texts; `cert` and `key` for mutual TLS. */
  readonly tls?: boolean | ClientTls | undefined;
  /**
   * The bearer token of each call; a function is asked before each call, for tokens that rotate. White space around it
   * is left out.
   */
  readonly token?: string | (() => string) | undefined;
  /** Tells people who holds what; `pid@host` by default. */
  readonly owner?: string | undefined;
  /**
   * How many calls this client may have open on one connection, 100 by default; it opens more connections for more. Set
   * it to what your proxy allows, where that is less.
   */
  readonly streamsPerConnection?: number | undefined;
  /**
   * Whether the spans that an OpenTelemetry SDK gets show the names of resources. By default they show hashes of them,
   * since names can be secret.
   */
  readonly traceNames?: boolean | undefined;
  /** For tests: for example the clock of startTestServer. */
  readonly clock?: Clock | undefined;
  /** For tests: a number from 0 to below 1. */
  readonly random?: (() => number) | undefined;
}

/** Connects with the first call. Throws InvalidArgumentError, by the name of the option, for what can never work. */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

export class Client implements Disposable {
  /** Reads and watches locks, and does what administrators do with them. */
  readonly locks: Locks;
  /** Runs long-running work once. */
  readonly operations: Operations;
  readonly #caller: Caller;

  constructor(options: ClientOptions) {
    const {
      token,
      owner = `${process.pid}@${hostname()}`,
      clock = wakefulClock,
      traceNames = false,
    } = options;
    const addresses = typeof options.addresses === 'string' ? [options.addresses] : [...options.addresses];
    checkAddresses(addresses);
    const tls = tlsOf(options.tls);
    const streamsPerConnection = countOf('streamsPerConnection', options.streamsPerConnection, 1);
    const channel = new Channel({
      addresses,
      credentials: credentialsOf(tls),
      clock,
      random: options.random ?? Math.random,
      carry: carryTrace,
      ...(streamsPerConnection === undefined ? {} : { streamsPerConnection }),
      ...(token === undefined ? {} : { token: tokenOf(token) }),
      ...(tls?.serverName === undefined ? {} : { serverName: tls.serverName }),
    });
    this.#caller = new Caller({ channel, addresses, owner, traceNames });
    this.locks = new Locks(this.#caller);
    this.operations = new Operations(this.#caller);
  }

  /**
   * Runs the work while it holds the lock, and then releases the lock. with-lock.ts lists every way in which that can
   * end; in short: it never masks the error of the work, and LeaseLostError says that the work may not have been
   * protected.
   */
  withLock<Value>(
    resource: string,
    work: (lease: Lease) => Value | PromiseLike<Value>,
    options?: AcquireOptions,
  ): Promise<Value> {
    return inSpan('leasehold.withLock', this.#subject([resource]), () =>
      underLock(this.acquire(resource, options), work),
    );
  }

  /** Runs the work under several locks, all or none. */
  withLocks<Value>(
    resources: readonly WantedLease[],
    work: (leases: LeaseSet) => Value | PromiseLike<Value>,
    options?: Omit<AcquireOptions, 'leaseId'>,
  ): Promise<Value> {
    return inSpan('leasehold.withLocks', this.#subject(resources), () =>
      underLock(this.acquireMany(resources, options), work),
    );
  }

  /** Waits for the lock. Rejects with ContendedError when the wait is over. `await using` releases it. */
  acquire(resource: string, options?: AcquireOptions): Promise<Lease> {
    return acquire(this.#caller, resource, options);
  }

  /** Doesn't wait: resolves to `undefined` when others hold the lock. */
  tryAcquire(resource: string, options?: Omit<AcquireOptions, 'waitMs'>): Promise<Lease | undefined> {
    return tryAcquire(this.#caller, resource, options);
  }

  /** Acquires up to 32 locks, all or none, in one global order: two callers can't deadlock. */
  acquireMany(
    resources: readonly WantedLease[],
    options?: Omit<AcquireOptions, 'leaseId'>,
  ): Promise<LeaseSet> {
    return acquireMany(this.#caller, resources, options);
  }

  /** An election, named after its office: `campaign` to lead, `observe` to learn who leads. */
  elect(name: string, options: ElectionOptions = {}): Election {
    return new Election(name, options, this.#caller, this.locks);
  }

  serverInfo(options?: CallOptions): Promise<ServerInfo> {
    return serverInfo(this.#caller, options);
  }

  /**
   * Closes the connections; calls in progress fail, and workers stop. It releases nothing: leases that are held end at
   * their deadlines. Nothing of the client keeps the process alive then. Without it a process exits as soon as no call
   * is in progress, no lease is held, no watch is read and no worker works.
   */
  close(): void {
    this.#caller.channel.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #subject(resources: SpanSubject['resources']): SpanSubject {
    return { resources, names: this.#caller.traceNames };
  }
}

function checkAddresses(addresses: readonly string[]): void {
  const wrong = addresses.filter((address) => parseHostPort(address, 1) === undefined);
  if (addresses.length > 0 && wrong.length === 0) return;
  const description = addresses.length === 0 ? 'at least one is needed' : `"${wrong[0]}" is not host:port`;
  const advice = 'Give the host and gRPC port of your servers, such as "127.0.0.1:50051".';
  throw invalidOption('addresses', description, advice);
}

// What the function returns is checked at each call, and the call rejects with the error.
function tokenOf(token: NonNullable<ClientOptions['token']>): string | (() => string) {
  return typeof token === 'function' ? () => checkedToken(token(), 'token()') : checkedToken(token, 'token');
}

/** The error names the option and never shows the text: that may be a token with one wrong character. */
function checkedToken(text: unknown, option: string): string {
  const token = typeof text === 'string' ? bearerTokenIn(text) : undefined;
  if (token !== undefined) return token;
  const description =
    typeof text !== 'string'
      ? `must be a string, but it is ${text === null ? 'null' : `a value of the type ${typeof text}`}`
      : text.trim() === ''
        ? 'is empty'
        : 'must have only printable ASCII characters, and no white space inside';
  throw invalidOption(option, description, 'Give the token alone, or leave the option out to send none.');
}
