// Hears what one Sentinel announces, on a connection of its own, which it makes anew when that closes. What it misses
// in between nobody tells it again; the polls see what came of it.

import { isRefusal } from '../deployment/node-lines.ts';
import { type Clock, pause } from '../domain/clock.ts';
import type { HostPort } from '../domain/host-port.ts';
import { Connection, type ConnectionSettings } from '../store/redis/connection.ts';
import { NOTICE_CHANNELS, type NoticeName } from './sentinel-notices.ts';

export interface NoticeListenerOptions {
  readonly address: HostPort;
  readonly settings: ConnectionSettings;
  readonly clock: Clock;
  /** How long one subscription may take. */
  readonly timeoutMs: number;
  readonly onNotice: (what: NoticeName, message: string) => void;
  readonly onState: (state: ListenerState) => void;
}

export interface ListenerState {
  /** How long it took to get there. */
  readonly tookMs: number;
  /** Why it doesn't listen, or not to all; undefined: it does. */
  readonly reason: string | undefined;
  /** The Sentinel has answered, and refused something. Otherwise it can't be reached. */
  readonly isRefused: boolean;
}

const RETRY_MS = 1_000;

export class NoticeListener {
  readonly #options: NoticeListenerOptions;
  readonly #closing = new AbortController();
  #connection: Connection | undefined;
  #state: ListenerState | undefined;

  constructor(options: NoticeListenerOptions) {
    this.#options = options;
    void this.#run();
  }

  /** Undefined before the first try has ended. */
  get state(): ListenerState | undefined {
    return this.#state;
  }

  /** Replaces the connection: the Sentinel doesn't answer, and nobody would notice that this one is dead. */
  reconnect(): void {
    this.#connection?.destroy();
  }

  close(): void {
    this.#closing.abort();
    this.#connection?.destroy();
  }

  async #run(): Promise<void> {
    const { address, settings, clock, onState } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs();
      const tell = (reason: string | undefined, isRefused = false): void => {
        if (signal.aborted) return;
        this.#state = { tookMs: clock.monotonicMs() - startedMs, reason, isRefused };
        onState(this.#state);
      };
      try {
        const connection = await Connection.open(address, settings, clock, signal);
        this.#connection = connection;
        if (signal.aborted) connection.destroy();
        tell(await this.#subscribe(connection), true);
        const reason = await connection.closed;
        tell(`the connection has closed: ${reason?.message ?? 'its other end closed it'}`);
      } catch (error) {
        tell(error instanceof Error ? error.message : String(error), isRefusal(error));
      }
      this.#connection?.destroy();
      await pause(clock, RETRY_MS, signal);
    }
  }

  /** One by one: a user may have the right to some channels. Returns why there are less than all. */
  async #subscribe(connection: Connection): Promise<string | undefined> {
    const { timeoutMs, onNotice } = this.#options;
    let reason: string | undefined;
    for (const channel of NOTICE_CHANNELS) {
      try {
        await connection.subscribeWithin(timeoutMs, channel, (message) => onNotice(channel, message));
      } catch (error) {
        if (connection.isClosed || !isRefusal(error)) throw error;
        reason = `${channel}: ${error.message}`;
      }
    }
    return reason;
  }
}
