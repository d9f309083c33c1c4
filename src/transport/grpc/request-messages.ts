// From the stream of a call to its handler: the client's one message, or each of many. Owns when a handler runs: a call
// of one message runs when the client has sent that message and its end, so that what was cut before is not executed.

import type { ServerHttp2Stream } from 'node:http2';
import { status } from '@grpc/grpc-js';
import type { GrpcCall } from './grpc-call.ts';
import { type MessageReader, Unreadable } from './message-frames.ts';
import type { EachHandler } from './rpc.ts';

type AnyCall = GrpcCall<unknown, unknown>;

export function readOneMessage(
  stream: ServerHttp2Stream,
  call: AnyCall,
  reader: MessageReader,
  decode: (bytes: Buffer) => unknown,
  handle: (call: AnyCall) => void,
): void {
  stream.on('data', (chunk: Buffer) => {
    if (call.isOver) return;
    const fault = unreadable(() => {
      if (!call.hold(chunk.length)) throw TOO_MUCH_AT_ONCE;
      reader.push(chunk);
    });
    if (fault) call.refuse(fault.status);
  });
  stream.on('end', () => {
    if (call.isOver) return; // it ends like this, too, when it is cut
    const fault = unreadable(() => {
      const message = reader.take();
      if (!message) throw reader.heldBytes > 0 ? CUT_OFF : NO_MESSAGE;
      if (reader.heldBytes > 0) throw SEVERAL_MESSAGES;
      call.letGo();
      call.request = decode(message);
    });
    if (fault) call.refuse(fault.status);
    else handle(call);
  });
}

export function answerEachMessage(
  stream: ServerHttp2Stream,
  call: AnyCall,
  reader: MessageReader,
  decode: (bytes: Buffer) => unknown,
  handle: EachHandler<unknown, unknown>,
): void {
  let isAnswering = false;
  let hasEnded = false;
  const next = (): void => {
    const fault = unreadable(() => {
      const message = call.isOver || isAnswering ? undefined : reader.take();
      if (message) {
        isAnswering = true;
        call.write(handle(decode(message)), answered);
      } else if (hasEnded && !isAnswering) {
        if (reader.heldBytes > 0) throw CUT_OFF;
        call.end();
      }
    });
    if (fault) call.refuse(fault.status);
    if (isAnswering) stream.pause();
    else stream.resume();
  };
  const answered = (): void => {
    isAnswering = false;
    next();
  };
  stream.on('data', (chunk: Buffer) => {
    const fault = unreadable(() => reader.push(chunk));
    if (fault) call.refuse(fault.status);
    else next();
  });
  stream.on('end', () => {
    hasEnded = true;
    next();
  });
}

const CUT_OFF = new Unreadable(status.INTERNAL, 'the request ends inside a message');
const NO_MESSAGE = new Unreadable(status.UNIMPLEMENTED, 'the call has no message');
const SEVERAL_MESSAGES = new Unreadable(status.UNIMPLEMENTED, 'the call has more than one message');
const TOO_MUCH_AT_ONCE = new Unreadable(
  status.RESOURCE_EXHAUSTED,
  'this connection has too many incomplete messages at once',
);

const NOT_ANSWERED = new Unreadable(status.INTERNAL, 'a message cannot be decoded or answered');

function unreadable(read: () => void): Unreadable | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    return error instanceof Unreadable ? error : NOT_ANSWERED;
  }
}
