// A command that runs while a lease is held. When the lease is lost, or its end comes near without a renewal, the
// command and what it has started are told to end (SIGTERM), and what is left of them is killed before the deadline
// passes:
//
//   … renewals … │ none for a while │ grace         │ lead    │ margin of the deadline rule │ somebody else's
//                                   ▲ SIGTERM       ▲ SIGKILL ▲ the local deadline
//
// A lease that an administrator has force-released is the exception: it may be over before its deadline, and nothing
// here can be in time for that. The command then has until the deadline that was known, and no longer than the grace.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Lease } from '../client/client.ts';
import { type Clock, type Timer, wakefulClock } from '../domain/clock.ts';
import { EXIT, Exit } from './exit-codes.ts';
import { killTree, type ProcessId, processTree, signalAll, stillRunning } from './process-tree.ts';
import type { Signals } from './signals.ts';
import { span } from './text.ts';

export interface GuardedCommand {
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly lease: Lease;
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs: number;
  readonly signals: Signals;
  /** Told once, when the command is told to end. */
  readonly onLoss: (why: string, killInMs: number) => void;
}

export type CommandEnd =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signalled'; readonly signal: NodeJS.Signals }
  /** It was stopped, or ended after its lease had. */
  | { readonly kind: 'lost' };

/** How long SIGKILL may take to have done its work; a part of the grace, at most this. */
const LEAD_MS = 500;
/** The wall clock may have moved, after a suspension: looked at so often. */
const LOOK_MS = 500;
const LEFTOVERS_MS = 20;

/** Resolves when the command has ended. Throws Exit, 126 or 127, when it couldn't be started. */
export function runGuarded(guarded: GuardedCommand, clock: Clock = wakefulClock): Promise<CommandEnd> {
  const { command, env, lease, signals, onLoss } = guarded;
  const [program, ...args] = command;
  const { promise, resolve, reject } = Promise.withResolvers<CommandEnd>();
  const child = spawn(program, args, { stdio: 'inherit', env: { ...env } });
  const { pid } = child;
  if (pid === undefined) {
    child.once('error', (error: NodeJS.ErrnoException) => reject(startFailure(program, error)));
    return promise;
  }
  child.on('error', () => {}); // a signal that could not be sent: it has ended, which is told anyway
  signals.target = (signal) => child.kill(signal);

  let deadlineMs = clock.monotonicMs() + lease.remainingMs();
  let timer: Timer | undefined;
  let isTold = false;
  let told: readonly ProcessId[] = [];
  const finish = (end: CommandEnd): void => {
    timer?.cancel();
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
    const leadMs = Math.min(LEAD_MS, guarded.graceMs / 4);
    const leftMs = Math.min(deadlineMs - clock.monotonicMs(), guarded.graceMs) - leadMs;
    if (leftMs <= 0) {
      kill(); // this process was stopped or asleep, and the deadline has passed meanwhile
    } else {
      told = processTree(pid);
      signalAll(told, 'SIGTERM');
      timer = clock.after(leftMs, kill);
    }
    onLoss(why, Math.max(0, leftMs));
  };
  const lost = (): void => stop(lease.loss?.message ?? `The lease on ${lease.resource} is over.`);
  // Renewals are seen here, too: what is left has grown.
  const look = (): void => {
    const leftMs = lease.remainingMs();
    if (lease.state !== 'held') {
      lost();
      return;
    }
    deadlineMs = clock.monotonicMs() + leftMs;
    if (leftMs <= guarded.graceMs) {
      stop(`The lease on ${lease.resource} ends in ${span(leftMs)} and could not be renewed.`);
      return;
    }
    timer = clock.after(Math.min(leftMs - guarded.graceMs, LOOK_MS), look);
  };
  lease.signal.addEventListener('abort', lost, { once: true });
  look();

  child.once('exit', (code, signal) => {
    // Asked by the clocks: the timer of a process that was asleep may not have had its turn.
    if (!isTold && lease.loss === undefined) {
      finish(signal === null ? { kind: 'exited', code: code ?? 0 } : { kind: 'signalled', signal });
      return;
    }
    // What it has started may still run; it has the same time.
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
      `${program}: there is no such command. Check its name, its path and PATH.`,
    );
  }
  const isText = errno === -constants.errno.ENOEXEC;
  const why = isText ? 'it is no program and has no "#!" line' : (code ?? message);
  return new Exit(EXIT.notExecutable, `${program}: it can't be executed (${why}). Check its permissions.`);
}
