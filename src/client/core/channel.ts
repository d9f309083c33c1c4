// The connections to a deployment: each instance has some of three kinds, so that nothing that waits takes the place of
// what keeps a lease or gives one back. Both services share them. All instances are alike: calls stay with one for as
// long as it answers, and go on to the next when it doesn't.

import { type ChannelCredentials, Metadata } from '@grpc/grpc-js';
import { LockServiceClient } from '../../../generated/leasehold/v1/lock_service.ts';
import { OperationStoreServiceClient } from '../../../generated/leasehold/v1/operation_store_service.ts';
import type { Clock } from '../../domain/clock.ts';
import { TimerGroup } from '../../domain/timer-group.ts';
import { channelClosed } from './call-error.ts';
import { Connections, type Stubs } from './connections.ts';
import { HoldersFirst } from './holders-first.ts';

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
  /** How many calls may be open on one connection; 100 by default. */
  readonly streamsPerConnection?: number;
  /** How long servers trust a stream that keeps leases, in milliseconds; 20 s by default. Tests make it shorter. */
  readonly renewForMs?: number;
  readonly clock: Clock;
  /** Returns a number from 0 to below 1. */
  readonly random: () => number;
}

/**
 * What a connection is for: `calls` are answered at once, `keeping` keeps leases and attempts alive, and `waiting` may
 * take long.
 */
export type ConnectionKind = 'calls' | 'keeping' | 'waiting';

/** One instance. */
export type Seat = Readonly<Record<ConnectionKind, Connections>>;

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
/** Many proxies allow 100 or 128, servers of Leasehold 1,000. */
const STREAMS_PER_CONNECTION = 100;
const RENEW_FOR_MS = 20_000;
/** How long a waiting call lets holders go first at most: while none of them is answered, and in all. */
const HOLDERS_FIRST_MS = { withoutAnswer: 2_000, most: 10_000 };
const SLICES = 4;

export class Channel {
  /** Everything that uses the channel takes its time from here: see `close`. */
  readonly clock: Clock;
  readonly random: () => number;
  readonly renewForMs: number;
  /** Who lacks the stream that keeps a lease. */
  readonly holders = new HoldersFirst();
  readonly #timers: TimerGroup;
  readonly #seats: readonly Seat[];
  readonly #token: ChannelOptions['token'];
  readonly #carry: ChannelOptions['carry'];
  /** How to end each call in progress. */
  readonly #calls = new Set<() => void>();
  #at: number;
  #isClosed = false;

  constructor(options: ChannelOptions) {
    const { addresses, credentials, token, carry, serverName, clock, random } = options;
    if (addresses.length === 0) throw new Error('a channel needs the address of at least one instance');
    this.#timers = new TimerGroup(clock);
    this.clock = this.#timers;
    this.random = random;
    this.renewForMs = options.renewForMs ?? RENEW_FOR_MS;
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
    const { streamsPerConnection = STREAMS_PER_CONNECTION } = options;
    this.#seats = addresses.map((address) => {
      const connections = (): Connections =>
        new Connections({ connect: () => connect(address), streamsPerConnection, clock: this.clock });
      return { calls: connections(), keeping: connections(), waiting: connections() };
    });
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

  /** `isCallers`: a caller of this client waits for the call, which is part of that caller's trace then. */
  metadata(isCallers = true): Metadata {
    const metadata = new Metadata();
    const token = typeof this.#token === 'function' ? this.#token() : this.#token;
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
    if (isCallers) this.#carry?.((key, value) => metadata.set(key, value));
    return metadata;
  }

  /** Registers a call: `close` cancels it. Call the returned function when the call has ended. */
  began(cancel: () => void): () => void {
    this.#calls.add(cancel);
    return () => this.#calls.delete(cancel);
  }

  /** Resolves after `ms`; at once when `signal` aborts or the channel is closed. */
  pause(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#pauseOr(ms, signal, () => () => {});
  }

  /**
   * Lets the streams that keep leases be opened before those that wait: resolves when each has been answered, when none
   * was for 1 to 2 s, after 10 s, or after `withinMs`.
   */
  async afterHolders(withinMs: number, signal?: AbortSignal): Promise<void> {
    const endMs = this.clock.monotonicMs() + Math.min(HOLDERS_FIRST_MS.most, withinMs);
    const sliceMs = (HOLDERS_FIRST_MS.withoutAnswer * (1 - 0.5 * this.random())) / SLICES;
    // In slices: when this process stands still for long, what keeps leases goes on before the time is over.
    for (let slice = 0; slice < SLICES && this.holders.lacking > 0 && !signal?.aborted; slice++) {
      const { lacking } = this.holders;
      const leftMs = endMs - this.clock.monotonicMs();
      if (leftMs <= 0) return;
      await this.#pauseOr(Math.min(sliceMs, leftMs), signal, (go) => this.holders.when(go));
      if (this.holders.lacking < lacking) slice = -1;
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
    for (const { calls, keeping, waiting } of this.#seats) {
      for (const connections of [calls, keeping, waiting]) connections.close();
    }
  }

  // There may be thousands at a time, so it makes no more than it needs.
  #pauseOr(
    ms: number,
    signal: AbortSignal | undefined,
    orWhen: (go: () => void) => () => void,
  ): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isClosed || signal?.aborted) return resolve();
      const done = (): void => {
        timer.cancel();
        ended();
        forget();
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.clock.after(ms, done);
      const ended = this.began(done);
      const forget = orWhen(done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }
}
