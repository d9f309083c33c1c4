// What a call tells of its way through the server while it is traced. Where nobody traces there is no Trace, and a call
// costs nothing for it. Owns no tracing library: src/tracing has the one implementation.

export type TraceFacts = Readonly<Record<string, string | number | boolean>>;

export interface Trace {
  /** Something happened on the way. */
  event(name: string, facts?: TraceFacts): void;
  /** A command is sent to Redis. Call what it returns once it has ended: with the word of its reply, or `error`. */
  command(name: string): (outcome: string) => void;
  /** A stream has what it was opened for, such as its lease; all that follows is its life. */
  answered(outcome: string): void;
  /** What a stream had is lost. */
  lost(reason: string): void;
}
