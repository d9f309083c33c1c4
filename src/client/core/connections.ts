// The connections of one kind to one instance: opened when calls need them, closed when they have none. A connection
// allows a number of open calls, and calls beyond that wait in the library without a word, so another connection takes
// those. What a call does is no matter here.

import type { LockServiceClient } from '../../../generated/leasehold/v1/lock_service.ts';
import type { OperationStoreServiceClient } from '../../../generated/leasehold/v1/operation_store_service.ts';
import type { Clock, Timer } from '../../domain/clock.ts';

/** Both services of an instance, over one connection. */
export interface Stubs {
  readonly locks: LockServiceClient;
  readonly operations: OperationStoreServiceClient;
}

export interface ConnectionsOptions {
  readonly connect: () => Stubs;
  /** How many calls a connection takes. */
  readonly streamsPerConnection: number;
  readonly clock: Clock;
}

/** The place of one call. */
export interface Place {
  readonly stubs: Stubs;
  /** For the error of a call that nobody answered: '' unless its connection may have too many open calls. */
  readonly crowd: string;
  /** Call it once, when the call has ended. */
  free(): void;
}

/** How long one of several connections stays open without a call. */
const IDLE_MS = 60_000;

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #open: Connection[] = [];

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** The first connection with room takes the call, so that the last ones can be closed when calls get fewer. */
  take(): Place {
    const { connect, streamsPerConnection } = this.#options;
    let connection = this.#open.find(({ calls }) => calls < streamsPerConnection);
    if (!connection) {
      connection = new Connection(connect());
      this.#open.push(connection);
    }
    return this.#place(connection);
  }

  get count(): number {
    return this.#open.length;
  }

  close(): void {
    for (const connection of this.#open.splice(0)) connection.close();
  }

  #place(connection: Connection): Place {
    connection.calls++;
    connection.idle?.cancel();
    return {
      stubs: connection.stubs,
      get crowd() {
        return connection.calls > 1 ? crowdOf(connection.calls) : '';
      },
      free: () => {
        connection.calls--;
        if (connection.calls === 0) this.#idles(connection);
      },
    };
  }

  #idles(connection: Connection): void {
    if (this.#open.length < 2) return;
    connection.idle = this.#options.clock.after(IDLE_MS, () => {
      const index = this.#open.indexOf(connection);
      if (index < 0 || this.#open.length < 2) return;
      this.#open.splice(index, 1);
      connection.close();
    });
    connection.idle.letGo?.();
  }
}

function crowdOf(calls: number): string {
  return `; ${calls} calls were open on its connection, and where a server or proxy allows fewer, set streamsPerConnection`;
}

class Connection {
  calls = 0;
  idle: Timer | undefined;
  readonly stubs: Stubs;

  constructor(stubs: Stubs) {
    this.stubs = stubs;
  }

  close(): void {
    this.idle?.cancel();
    this.stubs.locks.close();
  }
}
