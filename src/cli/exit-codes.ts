// What the exit codes of the command line mean: docs/cli.md says it to users. Those of `serve` are in
// serve-process.ts.

export const EXIT = {
  /** Held by others, not found, refused: an answer, and not the one that was hoped for. */
  no: 1,
  usage: 2,
  /** A defect, here or in the server. The numbers from 64 on are those of sysexits.h. */
  internal: 70,
  /** No answer that counts: EX_TEMPFAIL. */
  unavailable: 75,
  /** A lease that was held is over. */
  lost: 76,
  /** The token was refused: EX_NOPERM. */
  denied: 77,
  // As shells have them.
  notExecutable: 126,
  notFound: 127,
  /** Plus the number of the signal. */
  signalled: 128,
} as const;

/** Ends the command with this code and, unless it is empty, this message. */
export class Exit extends Error {
  override readonly name = 'Exit';
  readonly code: number;

  constructor(code: number, message = '') {
    super(message);
    this.code = code;
  }
}
