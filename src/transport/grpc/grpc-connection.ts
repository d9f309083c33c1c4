// One connection of a client, from its first byte to its end. Owns its age, its idle time, the pings that find out
// whether the client lives, what its calls may hold together, and its orderly end: GOAWAY, a time for open calls, and
// then the socket is destroyed, whether the client answers or not.

import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../domain/clock.ts';
import { formatHostPort } from '../../domain/host-port.ts';
import type { Deadlines } from './deadlines.ts';
import type { CallHome } from './grpc-call.ts';

export interface ConnectionLimits {
  /** How long a client may take until it speaks TLS and HTTP/2. */
  readonly handshakeMs: number;
  /** How long a connection may be without a call. */
  readonly idleMs: number;
  readonly ageMs: number;
  /** How long calls go on after GOAWAY. */
  readonly graceMs: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Of the requests of all its calls that are not complete. */
  readonly heldBytes: number;
}

export class GrpcConnection implements CallHome {
  readonly peer: string;
  readonly deadlines: Deadlines;
  readonly #socket: Socket;
  readonly #session: ServerHttp2Session;
  readonly #limits: ConnectionLimits;
  readonly #clock: Clock;
  #openCalls = 0;
  #idleSinceMs: number;
  #heldBytes = 0;
  #isClosing = false;
  /** The handshake, then idleness. */
  #watch: Timer;
  #keepalive: Timer;
  /** GOAWAY, then the end. */
  #end: Timer;

  constructor(
    socket: Socket,
    session: ServerHttp2Session,
    limits: ConnectionLimits,
    clock: Clock,
    deadlines: Deadlines,
  ) {
    const { remoteAddress = '', remotePort = 0 } = socket;
    this.peer = formatHostPort({ host: remoteAddress, port: remotePort });
    this.deadlines = deadlines;
    this.#socket = socket;
    this.#session = session;
    this.#limits = limits;
    this.#clock = clock;
    this.#idleSinceMs = clock.monotonicMs();
    // Timers of a process that was paused are due before its sockets are read: what came meanwhile gets a turn.
    this.#watch = clock.after(limits.handshakeMs, () => {
      this.#watch = clock.after(0, () => this.#afterHandshake());
    });
    this.#keepalive = clock.after(limits.keepaliveTimeMs, this.#ping);
    this.#end = clock.after(limits.ageMs, () => this.close(limits.graceMs));
    session.on('error', () => this.close(limits.graceMs)); // it closes by itself, if its client lets it
    session.once('goaway', () => this.close(limits.graceMs));
    socket.once('close', () => this.#stopTimers());
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  callBegan(): void {
    this.#openCalls++;
  }

  callEnded(): void {
    this.#openCalls--;
    this.#idleSinceMs = this.#clock.monotonicMs();
  }

  hold(bytes: number): boolean {
    this.#heldBytes += bytes;
    return this.#heldBytes <= this.#limits.heldBytes;
  }

  /** Takes no new calls. Open ones go on for this long at most. */
  close(graceMs: number): void {
    if (!this.#isClosing) this.#session.close();
    this.#isClosing = true;
    this.#keepalive.cancel(); // Node can't ping a session that closes
    this.#end.cancel();
    this.#end = this.#clock.after(graceMs, () => this.destroy());
  }

  /** At once. Not the session alone: that would wait until a dead client has taken what was written. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** A client that speaks HTTP/2 has taken the server's settings by now, without which some limits don't hold. */
  #afterHandshake(): void {
    if (this.#session.pendingSettingsAck) this.destroy();
    else this.#watchIdle();
  }

  #watchIdle(): void {
    const idleMs = this.#openCalls > 0 ? 0 : this.#clock.monotonicMs() - this.#idleSinceMs;
    if (idleMs >= this.#limits.idleMs) this.close(this.#limits.graceMs);
    else this.#watch = this.#clock.after(this.#limits.idleMs - idleMs, () => this.#watchIdle());
  }

  readonly #ping = (): void => {
    if (this.#session.closed || this.#session.destroyed) return;
    this.#keepalive = this.#clock.after(this.#limits.keepaliveTimeoutMs, () => {
      this.#keepalive = this.#clock.after(0, () => this.destroy());
    });
    this.#session.ping(() => {
      if (this.#isClosing || this.#socket.destroyed) return;
      this.#keepalive.cancel();
      this.#keepalive = this.#clock.after(this.#limits.keepaliveTimeMs, this.#ping);
    });
  };

  #stopTimers(): void {
    this.#watch.cancel();
    this.#keepalive.cancel();
    this.#end.cancel();
  }
}
