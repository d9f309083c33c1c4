// What every process of the server has around it: its log, its end on a defect, and its end on the signals that ask for
// one, SIGTERM, or SIGINT from a terminal. What it serves, and what SIGHUP does, is in the serve-*.ts files.

import { type Logger, pino } from 'pino';
import type { Config } from '../config/config.ts';

export const EXIT_FAILED = 1;

/** `bindings` are in every line. */
export function openLog(config: Config, bindings?: Readonly<Record<string, unknown>>): Logger {
  const { level, format } = config.log;
  const pretty = { transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname' } } };
  const log = pino({ level, ...(format === 'json' ? {} : pretty) });
  return bindings ? log.child(bindings) : log;
}

/** Ends the process with a line in the log. */
export function dieOf(log: Logger, what: string): (error: unknown) => never {
  return (error) => {
    log.fatal({ err: error }, what);
    process.exit(EXIT_FAILED);
  };
}

export function dieOfDefects(log: Logger): void {
  process.on('uncaughtException', dieOf(log, 'uncaught exception'));
  process.on('unhandledRejection', dieOf(log, 'unhandled rejection'));
}

/**
 * The first signal ends the process in order, with the exit code that `stop` resolves with; a second one ends it at
 * once, after `atOnce`.
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
