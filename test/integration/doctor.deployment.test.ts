// The doctor on a real Sentinel deployment: what it finds when all is well, and when one thing after the other is
// broken. The tests share the deployment, and each repairs what it broke.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { examine } from '../../src/doctor/examine.ts';
import { SentinelCluster } from '../support/redis/sentinel-cluster.ts';
import { clusterEnvironment, testEnvironment } from '../support/test-instance.ts';

const MASTER_NAME = 'mymaster';
/** What this machine and this Redis are like, and not the deployment. */
const OF_MACHINE = /^(version|round-trip|transparent-huge-pages|overcommit-memory|disk-latency|clock-here)$/;

let cluster: SentinelCluster;
let config: Config;

beforeAll(async () => {
  cluster = await SentinelCluster.start({
    masterName: MASTER_NAME,
    appendonly: true,
    downAfterMs: 60_000,
    directives: [
      'save 900 1',
      'maxmemory 256mb',
      'hash-max-listpack-value 512',
      'latency-monitor-threshold 100',
    ],
  });
  config = configWith();
}, 90_000);

afterAll(() => cluster?.stop());

function configWith(overrides: Readonly<Record<string, string>> = {}): Config {
  return loadConfig({
    env: testEnvironment({
      ...clusterEnvironment(cluster, MASTER_NAME),
      LEASEHOLD_REDIS_BOOTSTRAP: 'wait',
      ...overrides,
    }),
  });
}

/** What is not ok about the deployment, in short. */
async function found(own = config): Promise<readonly string[]> {
  const { findings } = await examine(own);
  return findings
    .filter(({ check, severity }) => severity !== 'ok' && !OF_MACHINE.test(check))
    .map(({ check, severity, subject }) => `${severity} ${check} ${subject}`);
}

/** All run on one machine, and a Sentinel that waits for a minute suits no TTL. */
const ALWAYS = [
  'warning hosts deployment',
  'warning hosts deployment',
  'warning down-after locks.default_ttl',
];

test('a deployment as the docs want it has no finding but those of a rig on one machine', async () => {
  expect(await found()).toEqual(ALWAYS);
});
