// The connections to a deployment: each instance has one for unary calls and one for streams, so that a release never
// waits behind a thousand streams for a slot on the connection. Both services share them. All instances are alike:
// calls stay with one for as long as it answers, and go on to the next when it doesn't.

import { type ChannelCredentials, Metadata } from '@grpc/grpc-js';
import { LockServiceClient } from '../../../generated/leasehold/v1/lock_service.ts';
import { OperationStoreServiceClient } from '../../../generated/leasehold/v1/operation_store_service.ts';
import { type Clock, pause } from '../../domain/clock.ts';
import { TimerGroup } from '../../domain/timer-group.ts';
import { channelClosed } from './call-error.ts';

export interface ChannelOptions {
  /** `host:port` of each instance; at least one. */
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
  /** Goes with every call as `authorization: Bearer …`; undefined for none. A function is asked before each call. */
  readonly token?: string | (() => string);
  /** Adds other metadata to a call, such as the context of a trace. */
  readonly carry?: (set: (key: string, value: string) => void) => void;
  /** The name in the servers' certificates, where it isn't the host of the address. */
  readonly serverName?: string;
  readonly clock: Clock;
  /** Returns a number from 0 to below 1. */
  readonly random: () => number;
}

/** Both services of an instance, over one connection. */
export interface Stubs {
  readonly locks: LockServiceClient;
  readonly operations: OperationStoreServiceClient;
}

/** One instance. */
export interface Seat {
  readonly calls: Stubs;
  readonly streams: Stubs;
}

const CONNECTION = {
  // This client repeats calls itself: the library knows neither the deadline of a lease nor RetryInfo.
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
  // The default is two minutes, longer than most leases live.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
} as const;

export class Channel {
  /** Everything that uses the channel takes its time from here: see `close`. */
  readonly clock: Clock;
  readonly random: () => number;
  readonly #timers: TimerGroup;
  readonly #seats: readonly Seat[];
  readonly #token: ChannelOptions['token'];
  readonly #carry: ChannelOptions['carry'];
  /** How to end each call in progress. */
  readonly #calls = new Set<() => void>();
  #at: number;
  #isClosed = false;

  constructor({ addresses, credentials, token, carry, serverName, clock, random }: ChannelOptions) {
    if (addresses.length === 0) throw new Error('a channel needs the address of at least one instance');
    this.#timers = new TimerGroup(clock);
    this.clock = this.#timers;
    this.random = random;
    this.#token = token;
    this.#carry = carry;
    this.#at = Math.floor(random() * addresses.length);
    const connection =
      serverName === undefined ? CONNECTION : { ...CONNECTION, 'grpc.ssl_target_name_override': serverName };
    const connect = (address: string): Stubs => {
      const locks = new LockServiceClient(address, credentials, connection);
      const sameConnection = { channelOverride: locks.getChannel() };
      return { locks, operations: new OperationStoreServiceClient(address, credentials, sameConnection) };
    };
    this.#seats = addresses.map((address) => ({ calls: connect(address), streams: connect(address) }));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get instances(): number {
    return this.#seats.length;
  }

  /** The instance that calls go to now. Throws CallError, CANCELLED, once the channel is closed. */
  get seat(): Seat {
    if (this.#isClosed) throw channelClosed();
    const seat = this.#seats[this.#at];
    if (!seat) throw new Error('a channel has seats');
    return seat;
  }

  /** Sends further calls to the next instance, if they still go to this one. */
  leave(seat: Seat): void {
    if (!this.#isClosed && seat === this.seat) this.#at = (this.#at + 1) % this.#seats.length;
  }

  metadata(): Metadata {
    const metadata = new Metadata();
    const token = typeof this.#token === 'function' ? this.#token() : this.#token;
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
    this.#carry?.((key, value) => metadata.set(key, value));
    return metadata;
  }

  /** Registers a call: `close` cancels it. Call the returned function when the call has ended. */
  began(cancel: () => void): () => void {
    this.#calls.add(cancel);
    return () => this.#calls.delete(cancel);
  }

  /** Resolves after `ms`; at once when `signal` aborts or the channel is closed. */
  async pause(ms: number, signal?: AbortSignal): Promise<void> {
    if (this.#isClosed) return;
    const closed = new AbortController();
    const ended = this.began(() => closed.abort());
    try {
      await pause(this.clock, ms, signal ? AbortSignal.any([signal, closed.signal]) : closed.signal);
    } finally {
      ended();
    }
  }

  /**
   * Ends all connections. Calls in progress fail, and so do further ones. Nothing keeps a lease that is held any more:
   * it ends at its deadline, which is told if the process lives until then. Nothing here keeps the process alive.
   */
  close(): void {
    this.#isClosed = true;
    this.#timers.letGo();
    // The library would let calls go on, and the renewals of leases with them.
    for (const cancel of [...this.#calls]) cancel();
    for (const { calls, streams } of this.#seats) {
      calls.locks.close();
      streams.locks.close();
    }
  }
}
