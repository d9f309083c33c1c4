// What the loops of one client process share: its connections, its recorder, its dice, and the signal to stop.

import { credentials } from '@grpc/grpc-js';
import { Channel } from '../../../src/client/core/channel.ts';
import { type Clock, pause, systemClock } from '../../../src/domain/clock.ts';
import { nowMs } from '../history.ts';
import { Dice } from './dice.ts';
import type { GuardClient } from './guard-client.ts';
import type { Recorder } from './recorder.ts';

/** Deadlines, beliefs and history are all on one clock, which every process of the machine shares. */
export const historyClock: Clock = { ...systemClock, monotonicMs: nowMs };

export interface ChaosClientOptions {
  readonly name: string;
  readonly servers: readonly string[];
  readonly seed: string;
  readonly maxTtlMs: number;
  readonly recorder: Recorder;
  readonly guard: GuardClient;
  /** Aborts when the loops are to end. */
  readonly stop: AbortSignal;
}

export class ChaosClient {
  readonly name: string;
  readonly maxTtlMs: number;
  readonly recorder: Recorder;
  readonly guard: GuardClient;
  readonly stop: AbortSignal;
  /** For all calls except those that must be broken off. */
  readonly channel: Channel;
  readonly #options: ChaosClientOptions;
  readonly #channels = new Set<Channel>();

  constructor(options: ChaosClientOptions) {
    this.#options = options;
    ({
      name: this.name,
      maxTtlMs: this.maxTtlMs,
      recorder: this.recorder,
      guard: this.guard,
      stop: this.stop,
    } = options);
    this.channel = this.connect('calls');
  }

  get isStopping(): boolean {
    return this.stop.aborted;
  }

  /** The dice for one purpose: the same seed, name and purpose throw the same numbers. */
  dice(purpose: string): Dice {
    return new Dice(`${this.#options.seed} ${this.name} ${purpose}`);
  }

  /** A channel of its own. */
  connect(purpose: string): Channel {
    const dice = this.dice(`channel for ${purpose}`);
    const channel = new Channel({
      addresses: this.#options.servers,
      credentials: credentials.createInsecure(),
      clock: historyClock,
      random: () => dice.next(),
    });
    this.#channels.add(channel);
    return channel;
  }

  /** Breaks off all calls on it: the leases that it keeps lapse. */
  disconnect(channel: Channel): void {
    this.#channels.delete(channel);
    channel.close();
  }

  /** A pause that ends early when the loops are to end. */
  pause(ms: number): Promise<void> {
    return pause(historyClock, ms, this.stop);
  }

  close(): void {
    for (const channel of this.#channels) channel.close();
    this.guard.close();
  }
}
