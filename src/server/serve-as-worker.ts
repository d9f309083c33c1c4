// A program: one of the server processes behind one port, under the orders of a supervisor (supervisor/supervisor.ts),
// which alone starts it. It runs one instance and shares nothing with the others but the port. When the supervisor's
// process is gone, node:cluster ends this one.

import type { Config } from '../config/config.ts';
import { unpackConfig } from '../config/pack-config.ts';
import { systemClock } from '../domain/clock.ts';
import type { Identity } from '../domain/inheritance.ts';
import { ALIVE_EVERY_MS, type Order, type Report } from '../supervisor/process-messages.ts';
import { type Instance, serve } from './instance.ts';
import { dieOf, dieOfDefects, EXIT_FAILED, openLog } from './log-and-signals.ts';

const processNumber = Number(process.argv[2]);
let instance: Instance | undefined;
let stop: (() => void) | undefined;
// Someone may take a token out of the file while this process has read it but doesn't serve yet.
let tokensAreOld = false;

async function begin(config: Config, awaitsStore: boolean, identity: Identity): Promise<void> {
  const log = openLog(config, { worker: processNumber });
  dieOfDefects(log);
  if (config.auth.tokensFile !== undefined) process.on('SIGHUP', reloadTokens);
  const onRefused = (reason: string): void => sayAndEnd({ report: 'refused', reason });
  // The admin port is the supervisor's.
  const started = await serve({ ...config, admin: undefined }, log, {
    processNumber,
    identity,
    onRefused,
    awaitsStore,
  });
  instance = started;
  stop = () => void started.stop().then(() => process.exit(0), dieOf(log, 'could not stop in order'));
  if (tokensAreOld) reloadTokens();
  say({ report: 'serving', address: started.address, facts: { ...started.facts } });
  say({ report: 'alive', ready: started.ready() });
}

function reloadTokens(): void {
  tokensAreOld = !instance;
  instance?.reloadTokens?.();
}

function drain(): void {
  if (!instance) process.exit(0);
  stop?.();
  stop = undefined;
}

function obey(order: Order): void {
  switch (order.order) {
    case 'serve':
      begin(unpackConfig(order.config), order.replaces, identityOf(order)).catch((error: unknown) => {
        sayAndEnd({ report: 'failed', message: error instanceof Error ? error.message : String(error) });
      });
      return;
    case 'drain':
      drain();
      return;
    case 'reload tokens':
      reloadTokens();
      return;
    case 'tell metrics':
      void instance?.metricsText().then((text) => {
        say({ report: 'metrics', question: order.question, text });
      });
  }
}

function identityOf({ instanceId, group, inheritance }: Extract<Order, { order: 'serve' }>): Identity {
  const onStanding = (tellsFromMs: number | undefined): Promise<void> =>
    // Said when it is in the channel: what is there arrives, even if this process dies now.
    new Promise((resolve) => say({ report: 'standing', tellsFromMs }, resolve));
  return { instanceId, group, inheritance, onStanding };
}

function sayThatItLives(): void {
  say({ report: 'alive', ready: instance?.ready() ?? false });
  systemClock.after(ALIVE_EVERY_MS, sayThatItLives);
}

function say(report: Report, said: () => void = () => {}): void {
  if (process.connected && process.send) process.send(report, undefined, undefined, said);
  else said();
}

function sayAndEnd(report: Report): void {
  say(report, () => process.exit(EXIT_FAILED));
}

// Orders are not checked: only the supervisor sends any.
process.on('message', obey);
// A terminal and systemd signal every process of a group, so this one may get from them what the supervisor orders as
// well: only the first counts. (A second signal to the supervisor makes it end everything at once.) A signal to this
// process alone restarts it in order: another takes its place.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, drain);
sayThatItLives();
