// Signals to this process: they end the wait for a lease, and once a command runs they are passed on to it. Ctrl-C and
// its like reach it without us: the terminal sends them to the whole group in its foreground, the command included,
// and a second one would be one too many.

import { constants } from 'node:os';
import { EXIT } from './exit-codes.ts';
import { isInForeground } from './process-tree.ts';

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
/** Mean something to the command only. */
const PASSED_ON = ['SIGUSR1', 'SIGUSR2'] as const;
/** Sent by the terminal itself. (What a shell sends when it is closed also goes to the group.) */
const OF_TERMINALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGHUP'];

export class Signals {
  /** Aborts with the first signal that asks for an end. */
  readonly stop: AbortSignal;
  /** That signal. */
  received: NodeJS.Signals | undefined;
  /** Gets what is passed on; undefined while no command runs. */
  target: ((signal: NodeJS.Signals) => void) | undefined;
  readonly #stop = new AbortController();

  constructor() {
    this.stop = this.#stop.signal;
    for (const signal of ENDING) process.on(signal, () => this.#heard(signal, true));
    for (const signal of PASSED_ON) process.on(signal, () => this.#heard(signal, false));
  }

  #heard(signal: NodeJS.Signals, isEnding: boolean): void {
    const wasStopped = this.stop.aborted;
    if (isEnding) {
      this.received ??= signal;
      this.#stop.abort();
    }
    if (this.target) {
      if (!(OF_TERMINALS.includes(signal) && isInForeground())) this.target(signal);
    } else if (isEnding && wasStopped) {
      process.exit(codeOfSignal(signal)); // asked twice: at once, also if something should be given back
    }
  }
}

export function codeOfSignal(signal: NodeJS.Signals): number {
  return EXIT.signalled + constants.signals[signal];
}

/**
 * Ends the process as the signal would have: a shell that runs a loop goes on after an exit code, and ends with its
 * child that was ended by Ctrl-C.
 */
export function endBy(signal: NodeJS.Signals): never {
  if (signal === 'SIGINT') {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }
  // Also where the signal does nothing: to the first process of a container.
  process.exit(codeOfSignal(signal));
}
