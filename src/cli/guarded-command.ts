// A command that runs while a lease is held. When the lease is lost, or its end is near and no renewal has come, the
// command and the processes that it has started get SIGTERM, and those that are left get SIGKILL before the deadline:
//
//   … renewals … │ none for a while │ grace         │ lead    │ margin of the deadline rule │ somebody else's
//                                   ▲ SIGTERM       ▲ SIGKILL ▲ the local deadline
//
// A revoked lease is the exception: it may end before its deadline, and nothing here can be in time for that. The
// command then has until the deadline that was known, and no longer than the grace. If this process is killed, the
// watchdog ends the command.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { type Clock, type Timer, wakefulClock } from '../domain/clock.ts';
import { EXIT, Exit } from './exit.ts';
import { killTree, type ProcessId, processTree, signalAll, statOf, stillRunning } from './process-tree.ts';
import type { Signals } from './signals.ts';
import { span } from './text.ts';
import type { HeldLease } from './wait-for-lease.ts';
import { startWatchdog } from './watchdog.ts';

export interface GuardedCommand {
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly held: HeldLease;
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs: number;
  readonly signals: Signals;
  /** Called once, when the command is told to end. */
  readonly onLoss: (why: string, killInMs: number) => void;
}

export type CommandEnd =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signalled'; readonly signal: NodeJS.Signals }
  /** We stopped it, or it ended after its lease. */
  | { readonly kind: 'lost' };

/** The most that is set aside of the grace for SIGKILL to take effect. */
const LEAD_MS = 500;
/** How often the lease is checked: after a suspension, the wall clock has moved. */
const LOOK_MS = 500;
const LEFTOVERS_MS = 20;

/** Resolves when the command has ended. Rejects with Exit, 126 or 127, if the command can't be started. */
export function runGuarded(guarded: GuardedCommand, clock: Clock = wakefulClock): Promise<CommandEnd> {
  const { command, env, signals, onLoss } = guarded;
  const { lease, isFinal } = guarded.held;
  const [program, ...args] = command;
  const { promise, resolve, reject } = Promise.withResolvers<CommandEnd>();
  // Before the command, so that little time passes between its start and the watch over it.
  const watchdog = startWatchdog(env);
  const child = spawn(program, args, { stdio: 'inherit', env: { ...env } });
  const { pid } = child;
  if (pid === undefined) {
    watchdog.end();
    child.once('error', (error: NodeJS.ErrnoException) => reject(startFailure(program, error)));
    return promise;
  }
  child.on('error', () => {}); // A signal could not be sent: the child has ended, and 'exit' reports that.
  signals.target = (signal) => child.kill(signal);
  const self: ProcessId = statOf(String(pid)) ?? { pid, startedAt: '' };
  watchdog.watch(self, Math.max(0, guarded.graceMs - LEAD_MS));

  let deadlineMs = clock.monotonicMs() + lease.remainingMs();
  let timer: Timer | undefined;
  let isTold = false;
  let told: readonly ProcessId[] = [];
  const finish = (end: CommandEnd): void => {
    timer?.cancel();
    watchdog.end();
    lease.signal.removeEventListener('abort', lost);
    signals.target = undefined;
    resolve(end);
  };
  const kill = (): void => {
    killTree(told.length > 0 ? told : processTree(pid));
    told = [];
  };
  const stop = (why: string): void => {
    if (isTold) return;
    isTold = true;
    timer?.cancel();
    watchdog.watch(self, 0); // It has been told by then, and has no second grace.
    const leadMs = Math.min(LEAD_MS, guarded.graceMs / 4);
    const leftMs = Math.min(deadlineMs - clock.monotonicMs(), guarded.graceMs) - leadMs;
    if (leftMs <= 0) {
      kill(); // This process was stopped or suspended, and the deadline passed meanwhile.
    } else {
      told = processTree(pid);
      signalAll(told, 'SIGTERM');
      timer = clock.after(leftMs, kill);
    }
    onLoss(why, Math.max(0, leftMs));
  };
  const lost = (): void => stop(lease.loss?.message ?? `The lease on ${lease.resource} has ended.`);
  // A renewal shows here, too: more time is left than before.
  const look = (): void => {
    const leftMs = lease.remainingMs();
    if (lease.state !== 'held') {
      lost();
      return;
    }
    deadlineMs = clock.monotonicMs() + leftMs;
    if (leftMs <= guarded.graceMs) {
      const why = isFinal() ? ', at the end of its --max-hold' : ' and could not be renewed';
      stop(`The lease on ${lease.resource} ends in ${span(leftMs)}${why}.`);
      return;
    }
    timer = clock.after(Math.min(leftMs - guarded.graceMs, LOOK_MS), look);
  };
  lease.signal.addEventListener('abort', lost, { once: true });
  look();

  child.once('exit', (code, signal) => {
    // `loss` reads the clocks: after a suspension, the timer that would have noticed may not have fired yet.
    if (!isTold && lease.loss === undefined) {
      finish(signal === null ? { kind: 'exited', code: code ?? 0 } : { kind: 'signalled', signal });
      return;
    }
    // Its descendants may still run; they have the same time.
    const waitForRest = (): void => {
      if (stillRunning(told).some((one) => one.pid !== pid)) clock.after(LEFTOVERS_MS, waitForRest);
      else finish({ kind: 'lost' });
    };
    waitForRest();
  });
  return promise;
}

function startFailure(program: string, { code, errno, message }: NodeJS.ErrnoException): Exit {
  if (code === 'ENOENT') {
    return new Exit(
      EXIT.notFound,
      `${program}: there is no such command. Check its name and path, and your PATH.`,
    );
  }
  const isText = errno === -constants.errno.ENOEXEC;
  const [why, next] = isText
    ? ['it is neither a program nor a script with a "#!" line', 'Start it through its interpreter.']
    : [code ?? message, 'Check its permissions.'];
  return new Exit(EXIT.notExecutable, `${program}: it can't be executed (${why}). ${next}`);
}
