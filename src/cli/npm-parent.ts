// The npm (or npx) that has started this process, if one has. npm passes a signal on to the shell that it has started
// for the command, and not to the command: npm and the shell end, and the command would go on, and hold its lock, for
// ever. So this process ends with them.

import { readFileSync } from 'node:fs';
import { systemClock } from '../domain/clock.ts';
import { statOf } from './process-tree.ts';

const LOOK_MS = 500;

/** Calls `gone` when npm, or its shell, has ended. Without /proc (macOS), it never does. */
export function whenNpmHasEnded(gone: () => void): void {
  const parent = process.ppid;
  const grandparent = statOf(String(parent))?.parent;
  const isBelowShell = !isNpm(parent) && grandparent !== undefined && isNpm(grandparent);
  if (!isBelowShell && !isNpm(parent)) return;
  const look = (): void => {
    const isParentGone = process.ppid !== parent;
    if (isParentGone || (isBelowShell && statOf(String(parent))?.parent !== grandparent)) gone();
    else systemClock.after(LOOK_MS, look);
  };
  systemClock.after(LOOK_MS, look);
}

/** npm writes its title over its command line: "npm exec leasehold run …". */
function isNpm(pid: number): boolean {
  try {
    return /^npm /.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  } catch {
    return false;
  }
}
