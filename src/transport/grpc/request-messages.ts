// From the stream of a call to its handler: the client's one message, or each of many. Owns when a handler runs: a call
// of one message runs when the client has sent that message and its end, so that what was cut before is not executed.

import type { ServerHttp2Stream } from 'node:http2';
import { status } from '@grpc/grpc-js';
import type { CallStatus } from './call-status.ts';
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
    takeIn(call, reader, chunk);
    if (reader.hasMore) call.refuse(SEVERAL_MESSAGES.status);
  });
  stream.on('end', () => {
    if (call.isOver) return; // it ends like this, too, when it is cut
    try {
      const message = reader.take();
      if (!message) throw reader.heldBytes > 0 ? CUT_OFF : NO_MESSAGE;
      call.letGo();
      call.request = decode(message);
    } catch (error) {
      call.refuse(faultOf(error));
      return;
    }
    handle(call);
    call.forgetHeaders();
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
    try {
      const message = call.isOver || isAnswering ? undefined : reader.take();
      if (message) {
        isAnswering = true;
        call.letGo();
        call.hold(reader.heldBytes);
        call.write(handle(decode(message)), answered);
      } else if (hasEnded && !isAnswering) {
        if (reader.heldBytes > 0) throw CUT_OFF;
        call.end();
      }
    } catch (error) {
      call.refuse(faultOf(error));
    }
    if (isAnswering && !call.isOver) stream.pause();
    else stream.resume(); // also when it is over: else Node wouldn't close the stream
  };
  const answered = (): void => {
    isAnswering = false;
    next();
  };
  stream.on('data', (chunk: Buffer) => {
    takeIn(call, reader, chunk);
    next();
  });
  stream.on('end', () => {
    hasEnded = true;
    next();
  });
  // Reset without an error, Node would wait for a write that nobody takes.
  stream.on('aborted', () => stream.destroy());
}

function takeIn(call: AnyCall, reader: MessageReader, chunk: Buffer): void {
  if (call.isOver) return;
  try {
    if (!call.hold(chunk.length)) throw TOO_MUCH_AT_ONCE;
    reader.push(chunk);
  } catch (error) {
    call.refuse(faultOf(error));
  }
}

const CUT_OFF = new Unreadable(status.INTERNAL, 'the request ends inside a message');
const NO_MESSAGE = new Unreadable(status.UNIMPLEMENTED, 'the call has no message');
const SEVERAL_MESSAGES = new Unreadable(status.UNIMPLEMENTED, 'the call has more than one message');
const TOO_MUCH_AT_ONCE = new Unreadable(
  status.RESOURCE_EXHAUSTED,
  'this connection has too many incomplete messages at once',
);

/** What isn't Unreadable comes from a message that can't be decoded, or from a handler that fails. */
function faultOf(thrown: unknown): CallStatus {
  return thrown instanceof Unreadable
    ? thrown.status
    : { code: status.INTERNAL, message: 'a message cannot be decoded or answered' };
}
