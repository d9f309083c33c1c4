// What a scrape shows of a Redis that says what no Redis says: the scrape must come, and stay small.
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { addDeploymentMetrics } from '../../src/monitoring/deployment-metrics.ts';
import type { DeploymentMonitor } from '../../src/monitoring/deployment-monitor.ts';
import { readExposition } from '../support/exposition.ts';

function monitorOf(info: Readonly<Record<string, string>>, node: string): DeploymentMonitor {
  const reading = {
    address: { host: node, port: 6379 },
    info: new Map(Object.entries(info)),
    latencies: [],
    slowlogLength: Number.NaN,
  };
  const monitor: Partial<DeploymentMonitor> = {
    hasSentinels: false,
    lockCounts: { locks: Number.NaN, leases: -1, waiters: 0, expiredLeases: -3 },
    census: undefined,
    nodes: () => [{ name: node, isUp: true, reading }],
    sentinels: () => [],
    collectors: () => [],
    notices: () => new Map(),
  };
  return monitor as DeploymentMonitor; // no more of it is asked
}

test('a Redis whose counters are negative or no numbers costs a scrape those series and no others', async () => {
  const registry = new Registry();
  const info = {
    total_net_input_bytes: '-1',
    total_net_output_bytes: '1e999',
    keyspace_hits: 'many',
    keyspace_misses: '4',
    used_memory: '-2',
  };
  addDeploymentMetrics(registry, monitorOf(info, 'redis-1'));
  const families = readExposition(await registry.metrics());
  const values = (name: string): readonly number[] | undefined =>
    families.get(name)?.samples.map(({ value }) => value);
  expect(values('leasehold_redis_network_in_bytes_total')).toEqual([]);
  expect(values('leasehold_redis_network_out_bytes_total')).toEqual([]);
  expect(values('leasehold_redis_keyspace_hits_total')).toEqual([]);
  expect(values('leasehold_deployment_expired_leases_total')).toEqual([]);
  expect(values('leasehold_deployment_locks')).toEqual([]);
  expect(values('leasehold_redis_slowlog_length')).toEqual([]);
  expect(values('leasehold_redis_keyspace_misses_total')).toEqual([4]);
});

test('a label with quotes, backslashes and line ends reads back as what it was', async () => {
  const registry = new Registry();
  const node = 'a"b\\c\nd é\\n{},';
  addDeploymentMetrics(registry, monitorOf({ used_memory: '1' }, node));
  const samples = readExposition(await registry.metrics()).get('leasehold_redis_memory_used_bytes')?.samples;
  expect(samples).toEqual([{ name: 'leasehold_redis_memory_used_bytes', labels: { node }, value: 1 }]);
});
