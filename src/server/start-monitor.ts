// Starts the monitor of a deployment where the configuration wants one, with its metrics: one in a process that serves
// alone, and one in the supervisor of several, so that they poll once. The embedded store has nothing to monitor.

import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Config } from '../config/config.ts';
import type { Clock } from '../domain/clock.ts';
import { addDeploymentMetrics } from '../monitoring/deployment-metrics.ts';
import { DeploymentMonitor } from '../monitoring/deployment-monitor.ts';

/** @param id is in the names of its connections. */
export function startMonitor(
  { redis, monitoring }: Config,
  id: string,
  registry: Registry,
  log: Logger,
  clock: Clock,
): DeploymentMonitor | undefined {
  const { pollIntervalMs } = monitoring;
  if (!redis || pollIntervalMs === undefined) return undefined;
  const monitor = new DeploymentMonitor({ redis, pollIntervalMs, id, clock, log });
  addDeploymentMetrics(registry, monitor);
  monitor.start();
  return monitor;
}
