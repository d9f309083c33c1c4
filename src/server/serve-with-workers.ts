// `leasehold serve` with several server processes: the process that supervises them. It has the admin port, the signals
// and the exit code, and serves no call itself. supervisor/supervisor.ts has the rules of starting and replacing.

import { availableParallelism } from 'node:os';
import type { Logger } from 'pino';
import { SupervisorMetrics } from '../admin/supervisor-metrics.ts';
import type { Config } from '../config/config.ts';
import { packConfig, replacementConfig } from '../config/pack-config.ts';
import { machineMs, systemClock } from '../domain/clock.ts';
import { formatHostPort } from '../domain/host-port.ts';
import { canStartProcesses, startClusterProcess } from '../supervisor/cluster-processes.ts';
import { type Failure, Supervisor } from '../supervisor/supervisor.ts';
import { newInstanceId } from './instance-id.ts';
import { EXIT_FAILED, endOnSignals } from './log-and-signals.ts';
import { openAdminPort } from './open-admin-port.ts';
import { startMonitor } from './start-monitor.ts';

export async function serveWithWorkers(config: Config, log: Logger): Promise<void> {
  const { workers } = config.server;
  if (!canStartProcesses()) {
    throw new Error(
      "server.workers: this process is a worker of another program's cluster, which can't start its own; start it by itself",
    );
  }
  const cores = availableParallelism();
  if (workers > cores) log.warn({ workers, cores }, 'there are more workers than cores');

  const supervisor = new Supervisor({
    processes: workers,
    configs: { first: packConfig(config), replacement: packConfig(replacementConfig(config)) },
    startProcess: startClusterProcess,
    newInstanceId,
    clock: systemClock,
    machineMs,
    random: Math.random,
    log,
    onEnded: (number) => metrics.processEnded(number),
  });
  const metrics = new SupervisorMetrics({
    serving: () => supervisor.serving(),
    texts: () => supervisor.metricsTexts(),
  });
  const admin = await openAdminPort(config, log, systemClock, metrics, () => supervisor.ready());
  const monitor = startMonitor(config, newInstanceId(), metrics.registry, log, systemClock);
  const stop = async (): Promise<number> => {
    log.info({ workers }, 'draining');
    const inOrder = await supervisor.stop();
    monitor?.close();
    await admin?.stop();
    log[inOrder ? 'info' : 'error']({ inOrder }, 'stopped');
    return inOrder ? 0 : EXIT_FAILED;
  };
  endOnSignals(log, stop, () => supervisor.kill());
  // As with one process: without tokens, SIGHUP ends this one, and with it the server processes.
  if (config.auth.tokensFile !== undefined) process.on('SIGHUP', () => supervisor.reloadTokens());

  const started = await Promise.race([supervisor.start(), supervisor.failure]);
  if ('kind' in started) {
    if (started.kind === 'failed') throw new Error(started.message);
    return giveUp(started, log);
  }
  void supervisor.failure.then((failure) => giveUp(failure, log));
  const { instanceId: _, ...facts } = started.facts;
  log.info({ ...facts, admin: admin && formatHostPort(admin.address), workers }, 'serving');
}

function giveUp(failure: Failure, log: Logger): never {
  if (failure.kind === 'refused') log.fatal({ reason: failure.reason }, 'refusing to serve');
  else log.fatal({ reason: failure.message }, 'no longer able to serve');
  process.exit(EXIT_FAILED);
}
