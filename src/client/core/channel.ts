// The connections to a deployment: for each instance one for unary calls and one for streams, so that a release never
// waits behind a thousand streams for a place on the connection. Both services go over the same ones. All instances are
// alike; calls stay with one for as long as it answers, and go on to the next when it doesn't.

import { type ChannelCredentials, Metadata } from '@grpc/grpc-js';
import { LockServiceClient } from '../../../generated/leasehold/v1/lock_service.ts';
import { OperationStoreServiceClient } from '../../../generated/leasehold/v1/operation_store_service.ts';
import type { Clock } from '../../domain/clock.ts';
import { channelClosed } from './call-error.ts';

export interface ChannelOptions {
  /** "host:port" of the instances; at least one. */
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
  /** Sent with every call as `authorization: Bearer …`; undefined for none. A function is asked before each call. */
  readonly token?: string | (() => string);
  /** Adds what else goes with a call, such as the context of a trace. */
  readonly carry?: (set: (key: string, value: string) => void) => void;
  /** The name that the servers' certificates are for, where it isn't the host of the address. */
  readonly serverName?: string;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** The services of an instance, over one connection. */
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
  // Repeats are ours: the library knows neither the deadline of a lease nor RetryInfo.
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
  // Its default is two minutes, longer than any lease lives.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
} as const;

export class Channel {
  readonly clock: Clock;
  readonly random: () => number;
  readonly #seats: readonly Seat[];
  readonly #token: ChannelOptions['token'];
  readonly #carry: ChannelOptions['carry'];
  /** How to end each call in progress. */
  readonly #calls = new Set<() => void>();
  #at: number;
  #isClosed = false;

  constructor({ addresses, credentials, token, carry, serverName, clock, random }: ChannelOptions) {
    if (addresses.length === 0) throw new Error('a channel needs the address of an instance');
    this.clock = clock;
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

  /** Whether there is another instance to go on to. */
  get hasOthers(): boolean {
    return this.#seats.length > 1;
  }

  /** Where calls go now. Throws CallError, CANCELLED, once the channel is closed. */
  get seat(): Seat {
    if (this.#isClosed) throw channelClosed();
    const seat = this.#seats[this.#at];
    if (!seat) throw new Error('a channel has seats');
    return seat;
  }

  /** Calls go on to the next instance, if they still go to this one. */
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

  /** `cancel` is called if the channel is closed before the returned function is: when the call has ended. */
  began(cancel: () => void): () => void {
    this.#calls.add(cancel);
    return () => this.#calls.delete(cancel);
  }

  /**
   * Ends all connections. Calls in progress fail, further ones too. A lease that is held is kept by nobody any more,
   * and ends with its deadline.
   */
  close(): void {
    this.#isClosed = true;
    // The library would let them go on, and with them the renewals of leases.
    for (const cancel of [...this.#calls]) cancel();
    for (const { calls, streams } of this.#seats) {
      calls.locks.close();
      streams.locks.close();
    }
  }
}
