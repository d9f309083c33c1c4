// What `npm run demo -- --stay` prints: where everything is, and commands to try there.
import { formatHostPort } from '../../src/domain/host-port.ts';
import { newcomerWaitMs } from '../../src/domain/safety.ts';
import { type DemoDeployment, TTL_MS } from './demo-deployment.ts';
import { styled } from './demo-timeline.ts';

export async function invite({ cluster, servers, configFile }: DemoDeployment, redis: string): Promise<void> {
  const primary = await cluster.primary();
  const replicas = cluster.nodes.filter((node) => node !== primary);
  const listed = (members: readonly { readonly address: { host: string; port: number } }[]): string =>
    members.map(({ address }) => formatHostPort(address)).join(' ');
  const grpc = servers.map(({ server }) => formatHostPort(server.address));
  const lines = servers.map(
    ({ name, server, admin }) =>
      `${name.padEnd(9)} gRPC ${formatHostPort(server.address)}   admin http://${formatHostPort(admin)}/metrics`,
  );
  const leasehold = (command: string): string => `    npx leasehold ${command}`;
  console.log(`
${styled('bold', 'A Leasehold deployment to try commands on, until Ctrl-C')}

  ${lines.join('\n  ')}
  primary   ${listed([primary])}   (${redis})
  replicas  ${listed(replicas)}
  sentinels ${listed(cluster.sentinels)}
  config    ${configFile}

  Some callers contend for locks and run operations, so that there is something to see. A third server that you start
  answers calls after ${newcomerWaitMs(TTL_MS) / 1_000} s. Failovers in the first ${newcomerWaitMs(TTL_MS) / 1_000} s cost a full quarantine.

  Try, in another terminal (npm run build makes npx leasehold):

    export LEASEHOLD_CLIENT_SERVER=${grpc.join(',')} CONFIG=${configFile}
${[
  'info',
  'locks top',
  'locks deadlocks',
  'locks ls',
  'ops ls --state running',
  'doctor --config $CONFIG',
  'drill failover --config $CONFIG',
  'capacity --locks 100000 --hold-streams 5000 --rate 2000 --ttl 20s',
  'serve --config $CONFIG',
]
  .map(leasehold)
  .join('\n')}

  Ctrl-C ends it and leaves nothing behind.`);
}
