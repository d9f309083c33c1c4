// Turns the checked `redis` values into one of the two connections the program knows, and holds the rules between
// the keys of that section. Connects to nothing.
import type { ClientTlsConfig, RedisConfig, RedisCredentials } from './config.ts';
import type { Draft } from './draft.ts';
import { resolveFile, resolveSecret } from './resolve-files.ts';
import type { SettingKey } from './settings.ts';

const SENTINEL_ONLY = [
  'redis.master_name',
  'redis.sentinel_username',
  'redis.sentinel_password',
  'redis.sentinel_password_file',
  'redis.sentinel_tls',
  'redis.sentinel_tls.ca_file',
  'redis.sentinel_tls.cert_file',
  'redis.sentinel_tls.key_file',
  'redis.sentinel_tls.server_name',
] as const satisfies readonly SettingKey[];

/** @returns undefined for the embedded store, or when there are complaints. */
export function resolveRedis(draft: Draft): RedisConfig | undefined {
  if (!draft.hasSection('redis')) return undefined;
  const base = resolveBase(draft);
  if (!draft.isGiven('redis.address')) {
    draft.complain(
      'redis.address',
      'required in a redis section; without the section the store is in memory',
    );
  }
  return draft.values['redis.failover_cluster'] ? resolveSentinel(draft, base) : resolveSingle(draft, base);
}

type RedisBase = ReturnType<typeof resolveBase>;

function resolveBase(draft: Draft) {
  const { values } = draft;
  return {
    credentials: resolveCredentials(draft, 'redis'),
    db: values['redis.db'],
    tls: resolveClientTls(draft, 'redis.tls'),
    keyPrefix: values['redis.key_prefix'],
    commandTimeoutMs: values['redis.command_timeout'],
    connectTimeoutMs: values['redis.connect_timeout'],
    maxInFlight: values['redis.max_in_flight'],
    minAcks: values['redis.durability'] === 'replicated' ? values['redis.min_acks'] : 0,
    replicatedMinAcks: values['redis.min_acks'],
    bootstrap: values['redis.bootstrap'],
    allowEvictionPolicy: values['redis.allow_eviction_policy'],
    quarantine: values['redis.quarantine'],
  };
}

function resolveSentinel(draft: Draft, base: RedisBase): RedisConfig | undefined {
  const sentinelCredentials = resolveCredentials(draft, 'redis.sentinel');
  const sentinelTls = resolveClientTls(draft, 'redis.sentinel_tls');
  const masterName = draft.values['redis.master_name'];
  const sentinels = draft.values['redis.address'];
  if (masterName === undefined) {
    draft.complain('redis.master_name', 'required with failover_cluster: true', ['redis.failover_cluster']);
  }
  if (masterName === undefined || sentinels === undefined) return undefined;
  return { kind: 'sentinel', masterName, sentinels, sentinelCredentials, sentinelTls, ...base };
}

function resolveSingle(draft: Draft, base: RedisBase): RedisConfig | undefined {
  for (const key of SENTINEL_ONLY) {
    if (draft.isGiven(key)) {
      draft.complain(key, 'only makes sense with failover_cluster: true', ['redis.failover_cluster']);
    }
  }
  const addresses = draft.values['redis.address'] ?? [];
  const [address] = addresses;
  if (addresses.length > 1) {
    const message = `expected one address with failover_cluster: false, got ${addresses.length}`;
    draft.complain('redis.address', message, ['redis.failover_cluster']);
  }
  return address === undefined ? undefined : { kind: 'single', address, ...base };
}

function resolveCredentials(draft: Draft, whose: 'redis' | 'redis.sentinel'): RedisCredentials | undefined {
  const [userKey, key, fileKey] =
    whose === 'redis'
      ? (['redis.username', 'redis.password', 'redis.password_file'] as const)
      : (['redis.sentinel_username', 'redis.sentinel_password', 'redis.sentinel_password_file'] as const);
  const username = draft.values[userKey];
  const password = resolveSecret(draft, key, fileKey);
  if (username !== undefined && !draft.isGiven(key) && !draft.isGiven(fileKey)) {
    draft.complain(userKey, `needs ${key} or ${fileKey}`);
  }
  return password === undefined ? undefined : { username, password };
}

function resolveClientTls(
  draft: Draft,
  section: 'redis.tls' | 'redis.sentinel_tls',
): ClientTlsConfig | undefined {
  const inside = [
    `${section}.ca_file`,
    `${section}.cert_file`,
    `${section}.key_file`,
    `${section}.server_name`,
  ] as const;
  const [caKey, certKey, keyKey, serverNameKey] = inside;
  if (draft.values[section] === false) {
    // The environment may switch off the TLS that the file describes. Any other mixture is no clear order, and
    // guessing "off" would send passwords in the clear.
    const contradicting = inside.find((key) => draft.isGiven(key) && !overrides(draft, section, key));
    if (contradicting !== undefined)
      draft.complain(contradicting, `given although ${section} is false`, [section]);
    return undefined;
  }
  if (draft.values[section] === undefined && !draft.hasSection(section)) return undefined;
  requireTogether(draft, certKey, keyKey);
  const certFile = resolveFile(draft, certKey);
  const keyFile = resolveFile(draft, keyKey);
  return {
    caFile: resolveFile(draft, caKey),
    clientCertificate: certFile !== undefined && keyFile !== undefined ? { certFile, keyFile } : undefined,
    serverName: draft.values[serverNameKey],
  };
}

function overrides(draft: Draft, winner: SettingKey, loser: SettingKey): boolean {
  return draft.givenFrom(winner) === 'environment' && draft.givenFrom(loser) === 'file';
}

function requireTogether(draft: Draft, one: SettingKey, other: SettingKey): void {
  if (draft.isGiven(one) && !draft.isGiven(other)) draft.complain(other, `required with ${one}`);
  if (draft.isGiven(other) && !draft.isGiven(one)) draft.complain(one, `required with ${other}`);
}
