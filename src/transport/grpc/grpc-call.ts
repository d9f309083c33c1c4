// One call, as its handler sees it: what the client asks, the way to answer, and that nobody waits for the answer any
// more. Owns that every call gets at most one status, and what goes over its stream to the client.

import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { CallMetadata } from './call-metadata.ts';
import { type CallStatus, trailersOf } from './call-status.ts';
import type { Deadlines } from './deadlines.ts';
import { framed } from './message-frames.ts';

export const RESPONSE_HEADERS = { ':status': 200, 'content-type': 'application/grpc+proto' } as const;
const MESSAGES_FOLLOW = { waitForTrailers: true, sendDate: false };
export const NOTHING_FOLLOWS = { endStream: true, sendDate: false };
const NONE: IncomingHttpHeaders = {};
const OK: OutgoingHttpHeaders = { 'grpc-status': '0' };

/** The connection of a call, as its calls need it. */
export interface CallHome {
  /** The client's address. */
  readonly peer: string;
  readonly deadlines: Deadlines;
  monotonicMs(): number;
  callBegan(): void;
  callEnded(): void;
  /** Counts bytes of requests that aren't complete, or takes some away; says whether that is still allowed. */
  hold(bytes: number): boolean;
}

export class GrpcCall<Request, Response> {
  readonly path: string;
  /** Set before the handler sees the call. */
  request!: Request;
  /** Runs once, if nobody waits for the answer any more: cancelled, the connection lost, or the deadline passed. */
  onCut: (() => void) | undefined;
  readonly #stream: ServerHttp2Stream;
  #headers: IncomingHttpHeaders;
  readonly #encode: (response: Response) => Uint8Array;
  readonly #home: CallHome;
  readonly #deadlineMs: number;
  #slot: ReturnType<Deadlines['add']> | undefined;
  #trailers = OK;
  #heldBytes = 0;
  #hasStatus = false;
  #isCut = false;

  constructor(
    path: string,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    timeoutMs: number,
    encode: (response: Response) => Uint8Array,
    home: CallHome,
  ) {
    this.#stream = stream;
    this.#headers = headers;
    this.path = path;
    this.#encode = encode;
    this.#home = home;
    this.#deadlineMs = home.monotonicMs() + timeoutMs;
    if (timeoutMs < Number.POSITIVE_INFINITY) this.#slot = home.deadlines.add(this, timeoutMs);
    home.callBegan();
    stream.on('close', () => {
      this.letGo();
      home.callEnded();
      if (!this.#hasStatus) this.#cut();
    });
  }

  get peer(): string {
    return this.#home.peer;
  }

  /** Only until the handler returns: a stream that is open for hours doesn't keep its headers. */
  get metadata(): CallMetadata {
    return new CallMetadata(this.#headers);
  }

  /** Milliseconds until the client's deadline; Infinity for no deadline. */
  get timeLeftMs(): number {
    return this.#deadlineMs - this.#home.monotonicMs();
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /** It has its status, or nobody waits for one. */
  get isOver(): boolean {
    return this.#hasStatus || this.#isCut || this.#stream.closed;
  }

  /** The one message of a unary call, and its end. */
  answer(response: Response): void {
    if (this.isOver) return;
    const frame = framed(this.#encode(response));
    this.#settle();
    this.#begin();
    this.#stream.end(frame);
  }

  /**
   * Sends a message of a stream, and calls back when it was passed on to the client's connection; never if that is
   * gone.
   */
  write(response: Response, passedOn: () => void): void {
    if (this.isOver) return;
    const frame = framed(this.#encode(response));
    if (!this.#stream.headersSent) this.#begin();
    this.#stream.write(frame, (error) => {
      if (!error) passedOn();
    });
  }

  /** The good end of a stream, after what was written. */
  end(): void {
    this.#finish(OK);
  }

  /** The other end of any call, after what was written. */
  refuse(refusal: CallStatus): void {
    this.#finish(trailersOf(refusal));
  }

  /** Counts bytes of the request until it is complete; says whether its connection may hold so many. */
  hold(bytes: number): boolean {
    this.#heldBytes += bytes;
    return this.#home.hold(bytes);
  }

  /** The request is complete. */
  letGo(): void {
    this.#home.hold(-this.#heldBytes);
    this.#heldBytes = 0;
  }

  forgetHeaders(): void {
    this.#headers = NONE;
  }

  /** For its deadlines alone. */
  expire(): void {
    this.#slot = undefined;
    this.refuse({ code: status.DEADLINE_EXCEEDED, message: 'the deadline of the call passed' });
    this.#cut();
  }

  #finish(trailers: OutgoingHttpHeaders): void {
    if (this.isOver) return;
    this.#settle();
    if (this.#stream.headersSent) {
      this.#trailers = trailers;
      this.#stream.end();
    } else {
      this.#stream.respond({ ...RESPONSE_HEADERS, ...trailers }, NOTHING_FOLLOWS);
      this.#stopReading();
    }
  }

  #begin(): void {
    const stream = this.#stream;
    stream.on('wantTrailers', () => {
      stream.sendTrailers(this.#trailers);
      // Node sends them in the next turn, but never on a stream that is closed.
      if (!stream.readableEnded) setImmediate(() => this.#stopReading());
    });
    stream.respond(RESPONSE_HEADERS, MESSAGES_FOLLOW);
  }

  /** The client may still be sending what nobody reads. */
  #stopReading(): void {
    if (!this.#stream.readableEnded) this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }

  #settle(): void {
    this.#hasStatus = true;
    if (this.#slot) this.#home.deadlines.remove(this, this.#slot);
    this.#slot = undefined;
  }

  #cut(): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#settle();
    this.onCut?.();
  }
}
