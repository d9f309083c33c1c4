// From a request to its rpc. Owns what becomes of a new stream of HTTP/2: an answer at once if its headers break a
// rule, or else a call that is read.

import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type CallHome, GrpcCall, NOTHING_FOLLOWS } from './grpc-call.ts';
import { ENCODINGS, MessageReader } from './message-frames.ts';
import { admitted } from './request-headers.ts';
import { answerEachMessage, readOneMessage } from './request-messages.ts';
import type { Rpc } from './rpc.ts';

const ignore = (): void => {};

export class Dispatcher {
  readonly #rpcs: ReadonlyMap<string, Rpc>;
  readonly #messageBytes: number;

  constructor(rpcs: readonly Rpc[], messageBytes: number) {
    this.#rpcs = new Map(rpcs.map((rpc) => [rpc.path, rpc]));
    this.#messageBytes = messageBytes;
  }

  dispatch(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, home: CallHome): void {
    stream.on('error', ignore); // it closes then, which is all that anybody needs to know
    if (stream.closed) return; // reset since its headers came
    const request = admitted(headers, this.#rpcs);
    if ('refusal' in request) {
      stream.respond(request.refusal, NOTHING_FOLLOWS);
      return;
    }
    const { rpc, timeoutMs, encoding } = request;
    const call = new GrpcCall(rpc.path, stream, headers, timeoutMs, rpc.responseSerialize, home);
    const reader = new MessageReader(this.#messageBytes, ENCODINGS.get(encoding));
    if (rpc.serves.kind === 'one') {
      readOneMessage(stream, call, reader, rpc.requestDeserialize, rpc.serves.handle);
    } else {
      answerEachMessage(stream, call, reader, rpc.requestDeserialize, rpc.serves.handle);
    }
  }
}
