// A Sentinel deployment as the docs want it, for the tests of the doctor, and what the doctor finds about it in short.
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import type { Finding } from '../../src/doctor/examination.ts';
import { examine } from '../../src/doctor/examine.ts';
import { SentinelCluster } from './redis/sentinel-cluster.ts';
import { clusterEnvironment, testEnvironment } from './test-instance.ts';

export const MASTER_NAME = 'mymaster';
/**
 * What this machine, how busy it is, and this Redis are like, and not the deployment; and that tests have no roll call.
 */
const OF_MACHINE =
  /^(roll-call|version|round-trip|replication-lag|transparent-huge-pages|overcommit-memory|disk-latency|clock-here|snapshots)$/;
/** A Sentinel that got no processor time for 2 s is in it for 30 s. */
export const TILT = 'the Sentinel is in TILT mode';

/** The Sentinels are patient: no test here wants a failover. */
export function startWellKept(): Promise<SentinelCluster> {
  return SentinelCluster.start({
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
}

/** All run on one machine, and a Sentinel that waits for a minute suits no TTL. */
export const ALWAYS_FOUND: readonly string[] = [
  'warning hosts deployment',
  'warning hosts deployment',
  'warning down-after locks.default_ttl',
];

export function environmentOf(
  cluster: SentinelCluster,
  overrides: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return testEnvironment({
    ...clusterEnvironment(cluster, MASTER_NAME),
    LEASEHOLD_REDIS_BOOTSTRAP: 'wait',
    ...overrides,
  });
}

export function configOf(cluster: SentinelCluster, overrides: Readonly<Record<string, string>> = {}): Config {
  return loadConfig({ env: environmentOf(cluster, overrides) });
}

/** What is not fine about the deployment. */
export async function findingsOf(config: Config): Promise<readonly Finding[]> {
  const { findings } = await examine(config);
  return findings.filter(
    ({ check, severity, seen }) => severity !== 'ok' && !OF_MACHINE.test(check) && seen !== TILT,
  );
}

/** The same in short, without what is always found. */
export async function foundIn(config: Config): Promise<readonly string[]> {
  const found = (await findingsOf(config)).map(inShort);
  return found.filter((text) => !ALWAYS_FOUND.includes(text));
}

export function inShort({ check, severity, subject }: Finding): string {
  return `${severity} ${check} ${subject}`;
}
