// What the demo runs on: a Sentinel deployment and two servers, all on free ports of this machine. Owns their settings
// and their start; the caller ends them, in the reverse of the order in which `started` hears of them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';
import { freePort } from '../../test/support/ports.ts';
import { temporaryFolder } from '../../test/support/redis/orphan-guard.ts';
import { SentinelCluster } from '../../test/support/redis/sentinel-cluster.ts';
import { LEASEHOLD, ServerProcess } from '../../test/support/server-process.ts';
import { TestClient } from '../../test/support/test-instance.ts';

const MASTER_NAME = 'demo';
const HOST = '127.0.0.1';
const DOWN_AFTER_MS = 1_000;
/**
 * The shortest TTL that survives a failover with this down-after: see "Choosing TTLs" in the docs. It is `max_ttl` too,
 * which decides how long the full quarantine is, and after what time the new registry can end one early.
 */
export const TTL_MS = 13_000;

/** As a deployment should have them: `leasehold doctor` has less to say then. */
const REDIS_LINES = [
  'save 900 1',
  'maxmemory 256mb',
  'repl-backlog-size 16mb',
  'latency-monitor-threshold 100',
  'hash-max-listpack-value 512',
];

export interface DemoServer {
  readonly name: string;
  readonly server: ServerProcess;
  readonly client: TestClient;
  readonly admin: HostPort;
}

export interface DemoDeployment {
  readonly cluster: SentinelCluster;
  readonly servers: readonly DemoServer[];
  /** The configuration that both servers have read. It lives as long as this process. */
  readonly configFile: string;
}

export async function startDeployment(
  started: (stop: () => Promise<unknown>) => void,
): Promise<DemoDeployment> {
  const cluster = await SentinelCluster.start({
    masterName: MASTER_NAME,
    downAfterMs: DOWN_AFTER_MS,
    appendonly: true,
    directives: REDIS_LINES,
  });
  started(() => cluster.stop());
  const configFile = join(temporaryFolder(), 'leasehold.yaml');
  writeFileSync(configFile, configOf(cluster));
  const servers = await Promise.all(
    ['server-a', 'server-b'].map(async (name) => {
      const admin = { host: HOST, port: await freePort(HOST) };
      const server = await ServerProcess.start({
        script: [...LEASEHOLD, '--config', configFile],
        environment: {
          LEASEHOLD_ADMIN_ADDRESS: formatHostPort(admin),
          // Only for the first start on an empty Redis, so it isn't in the file, which a third server may read later.
          LEASEHOLD_REDIS_BOOTSTRAP: 'new',
        },
      });
      started(() => server.stop());
      return { name, server, client: new TestClient(server.address), admin };
    }),
  );
  return { cluster, servers, configFile };
}

function configOf(cluster: SentinelCluster): string {
  const sentinels = cluster.sentinelAddresses.map((address) => `    - ${formatHostPort(address)}\n`);
  return `server:
  address: ${HOST}:0
  drain_timeout: 1s
admin:
  address: ${HOST}:0
redis:
  roll_call: on
  failover_cluster: true
  master_name: ${MASTER_NAME}
  address:
${sentinels.join('')}locks:
  max_ttl: ${TTL_MS}ms
`;
}
