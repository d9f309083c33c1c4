// How the process ends: the exit codes of the command line, which docs/cli.md explains to users, and the end by a
// signal. The exit codes of `serve` are in serve-process.ts; which error ends with which code is in describe-error.ts.

import { constants } from 'node:os';

export const EXIT = {
  /** Others hold it, it was not found, or it was refused: the server answered, and the answer is no. */
  no: 1,
  usage: 2,
  /** A defect, here or in the server. The numbers from 64 on are those of sysexits.h. */
  internal: 70,
  /** No server answered, or none could serve: EX_TEMPFAIL. */
  unavailable: 75,
  /** The lease was held and is lost. */
  lost: 76,
  /** The server refused the token: EX_NOPERM. */
  denied: 77,
  // The next three follow the shells.
  notExecutable: 126,
  notFound: 127,
  /** Plus the number of the signal. */
  signalled: 128,
} as const;

/** Ends the command with this code and, unless it is empty, this message. */
export class Exit extends Error {
  override readonly name = 'Exit';
  readonly code: number;
  /** The signal that asked for the end, if one did. */
  readonly signal: NodeJS.Signals | undefined;

  constructor(code: number, message = '', signal?: NodeJS.Signals) {
    super(message);
    this.code = code;
    this.signal = signal;
  }

  static by(signal: NodeJS.Signals): Exit {
    return new Exit(codeOfSignal(signal), '', signal);
  }
}

export function codeOfSignal(signal: NodeJS.Signals): number {
  return EXIT.signalled + constants.signals[signal];
}

let isEnding = false;

/** `leasehold locks ls | head`: a reader that has read enough is no error. */
export function letReadersLeave(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (!isEnding) process.exit(error.code === 'EPIPE' ? 0 : EXIT.internal);
  });
}

/**
 * Ends the process when its readers have taken everything that it has printed: process.exit alone drops what a pipe
 * hasn't taken yet.
 */
export async function endProcess({ code, message, signal }: Exit): Promise<never> {
  isEnding = true;
  if (message !== '') await taken(process.stderr, `leasehold: ${message}\n`);
  await taken(process.stdout);
  // A shell that runs a loop goes on after an exit code, but ends with its child when Ctrl-C ended the child.
  if (signal === 'SIGINT') {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }
  // Reached also where the signal does nothing: the first process of a container ignores it.
  process.exit(code);
}

/** Resolves when all that was written to the stream is with its reader, or the reader has gone. */
export function taken(stream: NodeJS.WriteStream, text = ''): Promise<void> {
  stream.on('error', () => {});
  return new Promise((resolve) => stream.write(text, () => resolve()));
}
