// Listens on this instance's channel for as long as a session lives, on a connection of its own; made anew when it
// closes. Messages can be lost at any time, so whenever it begins to listen it says so, and who depends on them asks.

import { type Clock, pause } from '../../domain/clock.ts';
import type { StoreObserver } from '../store.ts';
import { Connection, type ConnectionSettings } from './connection.ts';
import type { Session } from './session.ts';

export interface InstanceChannelOptions {
  readonly name: string;
  readonly connection: ConnectionSettings;
  readonly clock: Clock;
  readonly observer: StoreObserver;
  readonly onMessage: (message: string) => void;
  readonly onListening: () => void;
}

const RETRY_MS = 300;
const SUBSCRIBE_TIMEOUT_MS = 2_000;

export class InstanceChannel {
  readonly #options: InstanceChannelOptions;
  #following: Session | undefined;
  #end = new AbortController();

  constructor(options: InstanceChannelOptions) {
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

  close(): void {
    this.follow(undefined);
  }

  async #listen(session: Session, end: AbortSignal): Promise<void> {
    const { name, connection: settings, clock, observer, onMessage, onListening } = this.#options;
    while (!end.aborted) {
      let connection: Connection | undefined;
      try {
        connection = await Connection.open(session.connection.address, settings, clock);
        const open = connection;
        end.addEventListener('abort', () => open.destroy(), { once: true });
        if (end.aborted) open.destroy();
        await open.subscribeWithin(SUBSCRIBE_TIMEOUT_MS, name, onMessage);
        onListening();
        await open.closed;
      } catch (error) {
        if (end.aborted) return;
        const reason = error instanceof Error ? error.message : String(error);
        observer.event('warn', 'cannot listen for grants; they are found once a second', { reason });
      }
      connection?.destroy();
      await pause(clock, RETRY_MS, end);
    }
  }
}
