// One instance, and nothing else, in this process: its signals and its exit code. What an instance is made of is in
// instance.ts.

import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { sendGrpcLogTo } from '../transport/grpc-log.ts';
import { type Instance, serve } from './instance.ts';
import { EXIT_FAILED, endOnSignals } from './log-and-signals.ts';

export async function serveAlone(config: Config, log: Logger): Promise<void> {
  sendGrpcLogTo((message) => log.info({ from: 'grpc-js' }, message));
  let instance: Instance | undefined;
  // Someone may take a token out of the file while this process has read it but doesn't serve yet.
  let tokensAreOld = false;
  const reloadTokens = (): void => {
    tokensAreOld = !instance;
    instance?.reloadTokens?.();
  };
  // Without tokens to read again, SIGHUP ends the process, as it does when a terminal is closed.
  if (config.auth.tokensFile !== undefined) process.on('SIGHUP', reloadTokens);
  const onRefused = (reason: string): never => {
    log.fatal({ reason }, 'refusing to serve');
    process.exit(EXIT_FAILED);
  };
  const started = await serve(config, log, { onRefused });
  instance = started;
  if (tokensAreOld) reloadTokens();
  endOnSignals(log, async () => {
    await started.stop();
    return 0;
  });
}
