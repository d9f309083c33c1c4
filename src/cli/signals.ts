// The signals that this process receives. They end the wait for a lease; once a command runs, they are passed on to it.
// Ctrl-C and the like reach the command without us: the terminal sends them to its whole foreground group, the command
// included, so passing them on would deliver them twice.

import { codeOfSignal } from './exit.ts';
import { isInForeground } from './process-tree.ts';

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
/** These mean something to the command only. */
const PASSED_ON = ['SIGUSR1', 'SIGUSR2'] as const;
/** The terminal itself sends these. (A shell that is closed sends SIGHUP to the group, too.) */
const OF_TERMINALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGHUP'];

export class Signals {
  /** Aborts at the first signal that asks this process to end. */
  readonly stop: AbortSignal;
  /** That signal. */
  received: NodeJS.Signals | undefined;
  /** Receives the signals that are passed on; undefined while no command runs. */
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
      process.exit(codeOfSignal(signal)); // The second request ends it at once, even if a release is under way.
    }
  }
}
