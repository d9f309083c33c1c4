// What a command has started, and what that has started: a shell that is told to end leaves those behind who did the
// work. Read from /proc; where there is none (macOS), the command itself is all that is known.
//
// No process group of its own is used instead: the command then couldn't read from the terminal, Ctrl-C and Ctrl-Z
// wouldn't reach it, and a supervisor that kills this process with its group would leave it running without a lease.

import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessId {
  readonly pid: number;
  /** When it started, in ticks since the boot: the number of a process that has ended may be given again. */
  readonly startedAt: string;
}

interface Stat extends ProcessId {
  readonly parent: number;
  readonly group: number;
  readonly terminal: number;
  readonly foregroundGroup: number;
  readonly state: string;
}

/** The process and all its descendants, the oldest ancestor first. */
export function processTree(root: number): ProcessId[] {
  const all = allProcesses();
  const children = Map.groupBy(all, ({ parent }) => parent);
  const found: ProcessId[] = all.filter(({ pid }) => pid === root);
  if (found.length === 0) return [{ pid: root, startedAt: '' }];
  // The array grows while it is walked through: that is the walk.
  for (const { pid } of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** Those that still run; where that can't be known, all. */
export function stillRunning(processes: readonly ProcessId[]): ProcessId[] {
  return processes.filter(({ pid, startedAt }) => {
    if (startedAt === '') return true;
    const now = statOf(String(pid));
    return now !== undefined && now.startedAt === startedAt && now.state !== 'Z';
  });
}

/** Sends it to all that still run. */
export function signalAll(processes: readonly ProcessId[], signal: NodeJS.Signals): void {
  for (const { pid } of stillRunning(processes)) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended meanwhile, or has become somebody else's (setuid) and can't be signalled by anybody here.
    }
  }
}

/**
 * Kills those of them that still run, and what they have started. All are stopped first, from the top: a process that
 * runs could start another one between the look and the kill, and one whose parent is dead is nobody's descendant any
 * more.
 */
export function killTree(processes: readonly ProcessId[]): void {
  const stopped: ProcessId[] = [];
  for (let found = stillRunning(processes); found.length > 0; ) {
    signalAll(found, 'SIGSTOP');
    stopped.push(...found);
    found = stopped
      .flatMap(({ pid }) => processTree(pid))
      .filter(({ pid }) => !stopped.some((one) => one.pid === pid));
  }
  signalAll(stopped, 'SIGKILL');
}

/** Whether this process is in the foreground of its terminal: a signal that is typed there reaches the whole group. */
export function isInForeground(): boolean {
  const own = statOf('self');
  if (own === undefined) return process.stdin.isTTY || process.stderr.isTTY || false;
  return own.terminal !== 0 && own.foregroundGroup === own.group;
}

function allProcesses(): Stat[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(statOf)
      .filter((stat) => stat !== undefined);
  } catch {
    return [];
  }
}

// proc_pid_stat(5). The name of the program comes before the fields and may contain anything, also parentheses.
function statOf(pid: string): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', parent, group, , terminal, foregroundGroup, ...rest] = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ');
    return {
      pid: Number.parseInt(text, 10),
      state,
      parent: Number(parent),
      group: Number(group),
      terminal: Number(terminal),
      foregroundGroup: Number(foregroundGroup),
      startedAt: rest[13] ?? '',
    };
  } catch {
    return undefined; // it has ended
  }
}
