// `leasehold serve`: reads the configuration, opens the log, and leaves the rest to one instance in this process
// (serve-alone.ts) or to several server processes under a supervisor (serve-with-workers.ts).
//
// Exit codes: 0 it ended as asked, 1 it failed or refused to serve, 2 its arguments or its configuration are wrong.

import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { describeConfig } from '../config/describe-config.ts';
import { loadConfig, type ServeOptions } from '../config/load-config.ts';
import { dieOfDefects, openLog } from './log-and-signals.ts';

const EXIT_USAGE = 2;

export async function serveProcess({ config: file, checkConfig, workers }: ServeOptions): Promise<void> {
  const config = readConfig(file, workers);
  if (!config) return;
  if (checkConfig) return print('configuration ok');

  const log = openLog(config);
  log.debug({ config: describeConfig(config) }, 'configuration');
  dieOfDefects(log);
  // Only the one that runs is loaded: a supervisor needs none of the code that serves, and an instance alone needs no
  // supervisor.
  if (config.server.workers > 1)
    return (await import('./serve-with-workers.ts')).serveWithWorkers(config, log);
  return (await import('./serve-alone.ts')).serveAlone(config, log);
}

/** Undefined if it is wrong; the process then ends by itself, when its readers have taken what is wrong with it. */
function readConfig(file: string | undefined, workers: string | undefined): Config | undefined {
  try {
    return loadConfig({ file, env: process.env, options: { workers } });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = EXIT_USAGE;
    return undefined;
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
