// The text that `acquire` and `renew` print for a shell to evaluate. It fails there when the command has failed: the
// shell ignores the exit code of "$(leasehold acquire …)" inside an eval, and evaluating nothing succeeds, so that a
// script under `set -e` would go on without the lock.

import { writeSync } from 'node:fs';

const STDOUT = 1;

export interface ShellLease {
  readonly leaseId: string;
  readonly fencingToken: bigint;
  readonly validForMs: number;
}

export function leaseText({ leaseId, fencingToken, validForMs }: ShellLease): string {
  return `lease_id=${leaseId}\nfencing_token=${fencingToken}\nvalid_for_ms=${validForMs}\n`;
}

/**
 * Sets the exit code in the shell that evaluates it. After an `acquire`, it forgets an earlier lease, too: a script
 * without `set -e` would go on with that one.
 */
export function failureText(command: 'acquire' | 'renew', code: number): string {
  const forget = command === 'acquire' ? 'unset lease_id fencing_token valid_for_ms; ' : '';
  // -E 0 asks for the code 0 when others hold the lock. What a shell evaluates must fail all the same.
  return `${forget}(exit ${code || 1})\n`;
}

/** Returns what to call with the exit code of a failed command: it prints, if a shell may evaluate what that prints. */
export function failureForShell([command, ...args]: readonly string[]): (code: number) => void {
  if ((command !== 'acquire' && command !== 'renew') || args.includes('--json')) return () => {};
  let isPrinted = false;
  return (code) => {
    if (isPrinted) return;
    isPrinted = true;
    try {
      writeSync(STDOUT, failureText(command, code));
    } catch {
      // Nobody reads it.
    }
  };
}
