// Keeps a peer that breaks the protocol from ending this process. What ioredis can't take (a nil that answers no
// command, a message without a channel) it throws again in the next tick, as an uncaught exception. Here the same
// trouble ends the connection on which it came, as bytes that are no protocol do.

import { createRequire } from 'node:module';

interface Handler {
  returnFatalError(error: unknown): void;
}

interface DataHandler {
  readonly default: { readonly prototype: { dispatch: (this: Handler, work: () => void) => void } };
}

// Not exported by the library, so it has no types; the test of odd replies fails when it moves.
const load = createRequire(import.meta.url);
const { prototype } = (load('ioredis/built/DataHandler.js') as DataHandler).default;

prototype.dispatch = function (work) {
  try {
    work();
  } catch (error) {
    this.returnFatalError(error);
  }
};
