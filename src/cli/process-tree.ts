// A command and all its descendants: a shell that is told to end leaves behind the processes that did the work. They
// are read from /proc; without it (macOS), only the command itself is known.
//
// A process group of its own would not do: the command couldn't read from the terminal, Ctrl-C and Ctrl-Z wouldn't
// reach it, and a supervisor that kills this process with its group would leave the command running without a lease.

import { readdirSync, readFileSync } from 'node:fs';
import { isatty } from 'node:tty';

export interface ProcessId {
  readonly pid: number;
  /** When it started, in ticks since the boot: the system may reuse the number of a process that has ended. */
  readonly startedAt: string;
}

export interface ProcessStat extends ProcessId {
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
  // The loop appends to the array that it walks: that is how it descends.
  for (const { pid } of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** The processes that still run; all of them where that can't be known. */
export function stillRunning(processes: readonly ProcessId[]): ProcessId[] {
  return processes.filter(({ pid, startedAt }) => {
    if (startedAt === '') return true;
    const now = statOf(String(pid));
    return now !== undefined && now.startedAt === startedAt && now.state !== 'Z';
  });
}

/** Sends the signal to the processes that still run. */
export function signalAll(processes: readonly ProcessId[], signal: NodeJS.Signals): void {
  for (const { pid } of stillRunning(processes)) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended meanwhile, or it runs as another user now (setuid) and we may not signal it.
    }
  }
}

/**
 * Kills the processes that still run, and their descendants. It stops all of them first, from the top: a running
 * process could start another one between the look and the kill, and a process whose parent is dead is no descendant
 * any more.
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

/** Whether this process is in its terminal's foreground group, all of which gets the signals that are typed there. */
export function isInForeground(): boolean {
  const own = statOf('self');
  if (own === undefined) return isatty(0) || isatty(2);
  return own.terminal !== 0 && own.foregroundGroup === own.group;
}

function allProcesses(): ProcessStat[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(statOf)
      .filter((stat) => stat !== undefined);
  } catch {
    return [];
  }
}

/** Undefined if there is no such process, or no /proc. */
// See proc_pid_stat(5). The program's name precedes the fields and can contain anything, even parentheses.
export function statOf(pid: string): ProcessStat | undefined {
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
    return undefined; // The process has ended.
  }
}
