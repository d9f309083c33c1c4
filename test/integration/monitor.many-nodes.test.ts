// A Sentinel that names a thousand replicas and a thousand other Sentinels, some at addresses that are none. The
// monitor's connections and the series of a scrape are bounded whatever a Sentinel says.
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { addDeploymentMetrics } from '../../src/monitoring/deployment-metrics.ts';
import { DeploymentMonitor, MOST_NODES } from '../../src/monitoring/deployment-monitor.ts';
import { MOST_FLAGGED } from '../../src/monitoring/sentinel-reader.ts';
import { eventually } from '../support/eventually.ts';
import { readExposition } from '../support/exposition.ts';
import { bulk, list } from '../support/redis/resp.ts';
import { ScriptedServer } from '../support/redis/scripted-server.ts';
import { testEnvironment } from '../support/test-instance.ts';
import { MASTER_NAME } from '../support/watched-redis.ts';

const MANY = 1_000;
const ODD = ['a b', '"', 'x\ny', '', '999.1.1.1'];

function row(host: string, port: number | string, flags: string): string {
  return list(['ip', host, 'port', String(port), 'flags', flags]);
}

const rows = (host: string, flags: string): string => {
  const odd = [
    ...ODD.map((name) => row(name, 7, flags)),
    row('127.0.0.1', 70_000, flags),
    row('127.0.0.1', '1e3', flags),
  ];
  const all = [...odd, ...Array.from({ length: MANY }, (_, index) => row(host, 10_000 + index, flags))];
  return `*${all.length}\r\n${all.join('')}`;
};

test('of a thousand replicas the monitor reads some, says so once, and a scrape stays small', async ({
  onTestFinished,
}) => {
  const answers: Record<string, string> = {
    MYID: bulk('a'.repeat(40)),
    MASTER: row('127.0.0.2', 1, 'master'),
    REPLICAS: rows('127.0.0.2', 'slave'),
    SENTINELS: rows('127.0.0.3', 'sentinel,s_down'),
    CKQUORUM: '+OK\r\n',
  };
  const sentinel = await ScriptedServer.start(([name = '', word = '']) =>
    name.toUpperCase() === 'SENTINEL' ? answers[word.toUpperCase()] : '+OK\r\n',
  );
  onTestFinished(() => sentinel.close());
  const { redis } = loadConfig({
    env: testEnvironment({
      LEASEHOLD_REDIS_ADDRESS: formatHostPort(sentinel.listens),
      LEASEHOLD_REDIS_FAILOVER_CLUSTER: 'true',
      LEASEHOLD_REDIS_MASTER_NAME: MASTER_NAME,
    }),
  });
  if (!redis) throw new Error('a Redis');
  const told: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => void told.push(line) });
  const monitor = new DeploymentMonitor({ redis, pollIntervalMs: 200, id: 'x', clock: systemClock, log });
  onTestFinished(() => monitor.close());
  const registry = new Registry();
  addDeploymentMetrics(registry, monitor);
  monitor.start();
  const shown = async (name: string): Promise<number> =>
    readExposition(await registry.metrics()).get(name)?.samples.length ?? 0;
  await eventually(async () => (await shown('leasehold_sentinel_flags')) > 0, {
    what: 'flags',
    withinMs: 20_000,
  });
  await eventually(() => monitor.nodes().length > 0, { what: 'nodes', withinMs: 20_000 });
  const names = (): readonly string[] => monitor.nodes().map(({ name }) => name);
  const first = names();
  expect(first).toHaveLength(MOST_NODES);
  expect(first).toContain('127.0.0.2:1');
  expect(await shown('leasehold_sentinel_flags')).toBe(3 * MOST_FLAGGED);
  expect((await registry.metrics()).length).toBeLessThan(200_000);
  // Another order changes nothing.
  answers.REPLICAS = `*2\r\n${row('127.0.0.2', 10_900, 'slave')}${row('127.0.0.2', 10_001, 'slave')}`;
  await eventually(() => names().length === 3, { what: 'fewer nodes', withinMs: 20_000 });
  expect(names().toSorted()).toEqual(['127.0.0.2:1', '127.0.0.2:10001', '127.0.0.2:10900']);
  expect(told.filter((line) => line.includes('leaves nodes out'))).toHaveLength(1);
});
