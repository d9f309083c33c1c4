// Notices on stderr: what `leasehold` tells people while a command runs or waits. How it ends is in exit.ts, and what
// goes to stdout is in output.ts.

import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { printable } from './text.ts';

/** Prints a notice where somebody reads it, and otherwise does nothing. */
export type Tell = (text: string) => void;

const STDERR = 2;

/** Progress is printed on a terminal, and elsewhere only if it was asked for (-v). */
export function teller(isVerbose: boolean | undefined): Tell {
  return isVerbose || isatty(STDERR) ? complain : () => {};
}

/**
 * Prints a notice in any case. Not through process.stderr: Node.js would make a pipe non-blocking, for the command that
 * runs at the same time and shares the pipe, too, and few programs expect that of their stderr.
 */
export function complain(text: string): void {
  try {
    writeSync(STDERR, `leasehold: ${printable(text)}\n`);
  } catch {
    // Nobody reads it.
  }
}
