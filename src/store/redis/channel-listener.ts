// Listens on one channel as long as a session lives, on a connection of its own, which it makes anew when it closes.
// Messages can be lost at any time. So it says whenever it begins to listen, and those who depend on them ask.

import { type Clock, pause } from '../../domain/clock.ts';
import type { StoreObserver } from '../store.ts';
import { Connection, type ConnectionSettings } from './connection.ts';
import type { Session } from './session.ts';

export interface ChannelListenerOptions {
  readonly name: string;
  readonly connection: ConnectionSettings;
  readonly clock: Clock;
  readonly observer: StoreObserver;
  /** What is logged when it can't listen. */
  readonly trouble: string;
  readonly onMessage: (message: string) => void;
  /** `end` aborts when this connection is given up. */
  readonly onListening: (end: AbortSignal) => void;
}

const RETRY_MS = 300;
const SUBSCRIBE_TIMEOUT_MS = 2_000;

export class ChannelListener {
  readonly #options: ChannelListenerOptions;
  #following: Session | undefined;
  #end = new AbortController();
  #connection: Connection | undefined;

  constructor(options: ChannelListenerOptions) {
    this.#options = options;
  }

  /** Listens where this session's scripts run; undefined: nowhere. */
  follow(session: Session | undefined): void {
    if (session === this.#following) return;
    this.#end.abort();
    this.#following = session;
    if (!session) return;
    this.#end = new AbortController();
    void this.#listen(session, AbortSignal.any([session.over, this.#end.signal]));
  }

  /** Replaces the connection: nothing seems to arrive on it. */
  reconnect(): void {
    this.#connection?.destroy();
  }

  close(): void {
    this.follow(undefined);
  }

  async #listen(session: Session, end: AbortSignal): Promise<void> {
    const { name, connection: settings, clock, observer, trouble, onMessage, onListening } = this.#options;
    while (!end.aborted) {
      let connection: Connection | undefined;
      const closed = new AbortController();
      try {
        connection = await Connection.open(session.connection.address, settings, clock);
        const open = connection;
        end.addEventListener('abort', () => open.destroy(), { once: true });
        if (end.aborted) open.destroy();
        else this.#connection = open;
        await open.subscribeWithin(SUBSCRIBE_TIMEOUT_MS, name, (message) => {
          if (!end.aborted) onMessage(message);
        });
        onListening(AbortSignal.any([end, closed.signal]));
        await open.closed;
      } catch (error) {
        if (end.aborted) return;
        const reason = error instanceof Error ? error.message : String(error);
        observer.event('warn', trouble, { reason });
      } finally {
        closed.abort();
      }
      connection?.destroy();
      await pause(clock, RETRY_MS, end);
    }
  }
}
