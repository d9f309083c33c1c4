// How a process that serves is asked to end: SIGTERM, or SIGINT from a terminal.

import type { Logger } from 'pino';
import { dieOf, EXIT_FAILED } from './process-log.ts';

/**
 * The first signal ends the process in order, with the exit code that `stop` resolves with; a second one at once, after
 * `atOnce`.
 */
export function endOnSignals(log: Logger, stop: () => Promise<number>, atOnce: () => void = () => {}): void {
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) {
        atOnce();
        process.exit(EXIT_FAILED);
      }
      stopping = true;
      stop().then((code) => process.exit(code), dieOf(log, 'could not stop in order'));
    });
  }
}
