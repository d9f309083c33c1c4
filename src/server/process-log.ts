// The log of a process that serves, and its end when something happens that nobody has foreseen.

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

/** What ends the process with a line in the log. */
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
