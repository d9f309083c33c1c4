// The rules for a deployment from docker-compose.yml at rest: which users run it, what it publishes, and the settings
// of Redis and Sentinel. Owns the expectations; each function throws if one is not met.
import assert from 'node:assert/strict';
import { type Deployment, INSTANCES, PROJECT, REDIS, SENTINELS, SERVICES } from './deployment.ts';
import { docker } from './engine.ts';

const NODE_SETTINGS = {
  save: '900 1',
  appendonly: 'yes',
  appendfsync: 'everysec',
  'maxmemory-policy': 'noeviction',
  'min-replicas-to-write': '0',
  'repl-backlog-ttl': '0',
  'replica-priority': '100',
};

const WATCHED = {
  quorum: '2',
  'down-after-milliseconds': '5000',
  'failover-timeout': '60000',
  'parallel-syncs': '1',
  'num-slaves': '2',
  'num-other-sentinels': '2',
};

export async function assertNobodyIsRoot(deployment: Deployment): Promise<void> {
  for (const service of SERVICES) {
    const ids = await deployment.userIds(service);
    assert.ok(ids.length > 0, `${service} has processes`);
    assert.ok(!ids.includes(0), `${service} runs processes as root`);
  }
}

export async function assertPublished(deployment: Deployment): Promise<void> {
  const perService = await Promise.all(SERVICES.map((service) => deployment.ports(service)));
  assert.deepEqual(perService.flat().sort(), [...deployment.published].sort(), 'published ports');
  const internal = await docker(['network', 'inspect', '--format', '{{.Internal}}', `${PROJECT}_redis`]);
  assert.equal(internal, 'true', 'the network of Redis is internal');
}

/** Inside the network, one name stands for both instances. */
export async function assertOneName(deployment: Deployment): Promise<void> {
  const script = "require('node:dns').resolve4('leasehold', (e, found) => console.log((found ?? []).length))";
  const found = await deployment.exec('leasehold-1', 'node', '-e', script);
  assert.equal(found, String(INSTANCES.length), 'addresses behind the name "leasehold"');
}

export async function assertRedisSettings(deployment: Deployment): Promise<void> {
  for (const service of REDIS) {
    for (const [name, expected] of Object.entries(NODE_SETTINGS)) {
      const [, value] = await deployment.ask(service, 'CONFIG', 'GET', name);
      assert.equal(value, expected, `${name} of ${service}`);
    }
    const script = 'REDISCLI_AUTH= redis-cli ping';
    const stranger = await deployment.exec(service, 'sh', '-c', script);
    assert.match(stranger, /NOAUTH/, `${service} requires a password`);
  }
}

export async function assertSentinelSettings(deployment: Deployment): Promise<void> {
  for (const service of SENTINELS) {
    const told = await deployment.ask(service, 'SENTINEL', 'MASTER', 'mymaster');
    const fields = new Map(told.map((name, index) => [name, told[index + 1]]));
    for (const [name, expected] of Object.entries(WATCHED))
      assert.equal(fields.get(name), expected, `${name} at ${service}`);
    assert.match(String(fields.get('ip')), /^redis-[123]$/, `${service} announces a name`);
  }
}
