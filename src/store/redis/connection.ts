// One TCP connection to one Redis or Sentinel process. When it closes it stays closed. The topology decides which node
// to talk to next, and nothing is ever sent again by itself: a resent acquire would land on another primary.

import type { ConnectionOptions } from 'node:tls';
import { Redis } from 'ioredis';
import { type Clock, within } from '../../domain/clock.ts';
import type { HostPort } from '../../domain/host-port.ts';
import './contain-odd-replies.ts';
import { SocketConnector } from './socket-connector.ts';

/** Credentials and sockets, the same for every connection of a kind. */
export interface ConnectionSettings {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Absent for Sentinels, which have no databases. */
  readonly db?: number;
  readonly tls?: ConnectionOptions | undefined;
  readonly connectTimeoutMs: number;
  /** Shown by CLIENT LIST. */
  readonly name: string;
  /** Asked for each connection, in place of `password` and `tls`: they change while the process lives. */
  readonly secrets?: () => ConnectionSecrets;
}

export interface ConnectionSecrets {
  readonly password?: string | undefined;
  readonly tls?: ConnectionOptions | undefined;
}

/** How long to wait for a peer that doesn't answer the end of the connection. */
const CLOSE_WITHIN_MS = 50;

export class Connection {
  readonly address: HostPort;
  /** Resolves once the connection is closed, with what is known of the reason. Never rejects. */
  readonly closed: Promise<Error | undefined>;
  readonly #redis: Redis;
  readonly #clock: Clock;
  #isClosed = false;
  #lastError: Error | undefined;

  private constructor(address: HostPort, redis: Redis, clock: Clock) {
    this.address = address;
    this.#redis = redis;
    this.#clock = clock;
    redis.on('error', (error: Error) => {
      this.#lastError = error;
      // Also of a reply that answers no command: the next one could be taken for the answer to another command.
      this.destroy();
    });
    this.closed = new Promise((resolve) => {
      redis.once('end', () => {
        this.#isClosed = true;
        resolve(this.#lastError);
      });
    });
  }

  /**
   * Connects and authenticates; rejects when that fails, takes longer than the connect timeout, or `signal`
   * aborts meanwhile.
   */
  static async open(
    address: HostPort,
    settings: ConnectionSettings,
    clock: Clock,
    signal?: AbortSignal,
  ): Promise<Connection> {
    signal?.throwIfAborted();
    const { password, tls } = settings.secrets?.() ?? settings;
    const redis = new Redis({
      host: address.host,
      port: address.port,
      ...(settings.username ? { username: settings.username } : {}),
      ...(password ? { password } : {}),
      ...(tls ? { tls } : {}),
      connectionName: settings.name,
      connectTimeout: settings.connectTimeoutMs,
      protocol: 2,
      lazyConnect: true,
      retryStrategy: () => null,
      reconnectOnError: null,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      disconnectTimeout: CLOSE_WITHIN_MS,
      disableClientInfo: true,
      Connector: SocketConnector,
    });
    const connection = new Connection(address, redis, clock);
    const abandon = (): void => connection.destroy();
    signal?.addEventListener('abort', abandon);
    try {
      // connectTimeout bounds the TCP handshake; a frozen process completes that and then answers nothing to
      // AUTH.
      const late = (): Error => new Error(`no connection within ${settings.connectTimeoutMs} ms`);
      await within(clock, settings.connectTimeoutMs, redis.connect(), late);
      // Sent here, not by ioredis, which goes on with database 0 when the SELECT is refused.
      if (settings.db) await connection.callWithin(settings.connectTimeoutMs, 'SELECT', settings.db);
      return connection;
    } catch (error) {
      connection.destroy();
      throw connection.#lastError ?? error; // the socket's error says more than "Connection is closed"
    } finally {
      signal?.removeEventListener('abort', abandon);
    }
  }

  /** Closed, or about to be: it sends nothing more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Sends one command. Settles with its reply, or rejects with Redis's error or when the connection closes.
   */
  call(command: string, ...args: (string | number)[]): Promise<unknown> {
    return this.#redis.call(command, ...args);
  }

  /** Sends one command and gives up on its reply after `timeoutMs`; the command may still run. */
  callWithin(timeoutMs: number, command: string, ...args: (string | number)[]): Promise<unknown> {
    const late = (): Error => new Error(`${command}: no reply within ${timeoutMs} ms`);
    return within(this.#clock, timeoutMs, this.call(command, ...args), late);
  }

  /**
   * Turns this connection into a subscribed one, or adds a channel to it; rejects when that takes longer than
   * `timeoutMs`.
   */
  async subscribeWithin(
    timeoutMs: number,
    channel: string,
    onMessage: (message: string) => void,
  ): Promise<void> {
    this.#redis.on('message', (heard: string, message: string) => {
      if (heard !== channel) return;
      try {
        onMessage(message);
      } catch (error) {
        // A defect of ours, not of the peer: it must not pass for one.
        process.nextTick(() => {
          throw error;
        });
      }
    });
    const late = (): Error => new Error(`SUBSCRIBE: no reply within ${timeoutMs} ms`);
    // An answer that makes no sense ends the connection, and ioredis then forgets whom it was for.
    const ended = this.closed.then((reason): never => {
      throw reason ?? new Error('the connection has closed');
    });
    await within(this.#clock, timeoutMs, Promise.race([this.#redis.subscribe(channel), ended]), late);
  }

  /** Closes at once. Commands in flight reject. */
  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true; // from now on, not when the last packet of a dead peer was given up
    this.#redis.disconnect();
  }
}
