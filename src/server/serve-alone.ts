// One instance, and nothing else, in this process: its signals, its exit code, and what people are told who have it
// without a Redis. What an instance is made of is in instance.ts.

import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { formatHostPort } from '../domain/host-port.ts';
import { type Instance, serve } from './instance.ts';
import { EXIT_FAILED, endOnSignals } from './log-and-signals.ts';

export async function serveAlone(config: Config, log: Logger): Promise<void> {
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
  if (!config.redis) announceEmbedded(config, started, log);
  endOnSignals(log, async () => {
    await started.stop();
    return 0;
  });
}

const EMBEDDED =
  "locks live in this process's memory: they are shared with no other instance, and gone when it ends";
const FOR_REDIS = {
  LEASEHOLD_REDIS_FAILOVER_CLUSTER: 'true',
  LEASEHOLD_REDIS_MASTER_NAME: 'mymaster',
  LEASEHOLD_REDIS_ADDRESS: 'sentinel1:26379,sentinel2:26379,sentinel3:26379',
};

/** Where it serves is known by now. What reads a log of JSON can read every line of it. */
function announceEmbedded({ log: { format } }: Config, { address }: Instance, log: Logger): void {
  if (format === 'json') {
    log.warn({ forRedisSet: FOR_REDIS }, `embedded, for trials and tests: ${EMBEDDED}`);
    return;
  }
  const settings = Object.entries(FOR_REDIS).map(([name, value]) => `  ${name}=${value} \\\n`);
  process.stdout.write(`
Leasehold, embedded, for trials and tests: ${EMBEDDED}.
To keep them in your Redis, name its Sentinels and start again:

${settings.join('')}  npm start

Serving gRPC on ${formatHostPort(address)}; Ctrl-C ends it.

`);
}
