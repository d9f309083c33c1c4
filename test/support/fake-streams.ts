// A server of streams that is a function: a test says what each stream says, and sees how each was asked for and
// whether it was cancelled.

import { EventEmitter } from 'node:events';
import { type ClientReadableStream, Metadata, type status } from '@grpc/grpc-js';

export class FakeStream<Request, Message> extends EventEmitter {
  readonly request: Request;
  readonly openedAtMs: number;
  isCancelled = false;

  constructor(request: Request, openedAtMs: number) {
    super();
    this.request = request;
    this.openedAtMs = openedAtMs;
  }

  cancel(): void {
    this.isCancelled = true;
  }

  pause(): void {}

  resume(): void {}

  say(message: Message): void {
    this.emit('data', message);
  }

  fail(code: status, details = 'it broke'): void {
    this.emit('error', Object.assign(new Error(details), { code, details, metadata: new Metadata() }));
  }

  /** As the library gives it. */
  get call(): ClientReadableStream<Message> {
    return this as unknown as ClientReadableStream<Message>; // nothing else of it is used
  }
}
