// From a request to its rpc. Owns what becomes of a new stream of HTTP/2: an answer at once if its headers break a
// rule, or else a call that is read.

import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type CallHome, GrpcCall, NOTHING_FOLLOWS } from './grpc-call.ts';
import { ENCODINGS, MessageReader } from './message-frames.ts';
import { type Admitted, admitted } from './request-headers.ts';
import { answerEachMessage, readOneMessage } from './request-messages.ts';
import type { Rpc } from './rpc.ts';

const ignore = (): void => {};

export interface DispatcherOptions {
  readonly rpcs: readonly Rpc[];
  readonly messageBytes: number;
  /** Asked before anything of a call is read. If it is refused, its answer has these headers, and nothing follows. */
  readonly refusalOf: (path: string) => OutgoingHttpHeaders | undefined;
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #rpcs: ReadonlyMap<string, Rpc>;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#rpcs = new Map(options.rpcs.map((rpc) => [rpc.path, rpc]));
  }

  dispatch(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, home: CallHome): void {
    stream.on('error', ignore); // it closes then, which is all that anybody needs to know
    if (stream.closed) return; // reset since its headers came
    const request = admitted(headers, this.#rpcs);
    const refusal = 'refusal' in request ? request.refusal : this.#options.refusalOf(request.rpc.path);
    if (refusal) stream.respond(refusal, NOTHING_FOLLOWS);
    else if ('rpc' in request) this.#begin(request, stream, headers, home);
  }

  #begin(
    { rpc, timeoutMs, encoding }: Admitted,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    home: CallHome,
  ): void {
    const call = new GrpcCall(rpc.path, stream, headers, timeoutMs, rpc.responseSerialize, home);
    const reader = new MessageReader(this.#options.messageBytes, ENCODINGS.get(encoding));
    if (rpc.serves.kind === 'one') {
      readOneMessage(stream, call, reader, rpc.requestDeserialize, rpc.serves.handle);
    } else {
      answerEachMessage(stream, call, reader, rpc.requestDeserialize, rpc.serves.handle);
    }
  }
}
