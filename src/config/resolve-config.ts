// Puts the configuration together from checked values, section by section, and owns the rules between keys. It connects
// to nothing; resolve-files.ts looks at the files that the configuration names.
import type {
  AuthConfig,
  ClientTlsConfig,
  Config,
  LocksConfig,
  MonitoringConfig,
  RedisConfig,
  RedisCredentials,
  ServerConfig,
  ServerTlsConfig,
} from './config.ts';
import type { Draft } from './draft.ts';
import { locateFile, resolveFile, resolveSecret } from './resolve-files.ts';
import type { SettingKey } from './settings.ts';
import { readTokensFile } from './tokens-file.ts';

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

/** What a request has at most besides its payloads: names, labels, the lease of each attempt. */
const BESIDE_PAYLOADS_BYTES = 16_384;

/** @returns a configuration to use only if `draft.problems` is still empty. */
export function resolveConfig(draft: Draft): Config {
  const { values } = draft;
  const adminAddress = values['admin.address'];
  return {
    server: resolveServer(draft),
    auth: resolveAuth(draft),
    admin: adminAddress === 'off' ? undefined : { address: adminAddress },
    redis: resolveRedis(draft),
    locks: resolveLocks(draft),
    monitoring: resolveMonitoring(draft),
    log: { level: values['log.level'], format: values['log.format'] },
  };
}

function resolveServer(draft: Draft): ServerConfig {
  const { values } = draft;
  return {
    address: values['server.address'],
    tls: resolveServerTls(draft),
    maxConnectionAgeMs: values['server.max_connection_age'],
    drainTimeoutMs: values['server.drain_timeout'],
    maxMessageBytes: values['server.max_message_bytes'],
    maxPayloadBytes: resolveMaxPayload(draft),
    maxConcurrentStreams: values['server.max_concurrent_streams'],
    keepaliveTimeMs: values['server.keepalive_time'],
    keepaliveTimeoutMs: values['server.keepalive_timeout'],
    workers: resolveWorkers(draft),
    reflection: values['server.reflection'],
  };
}

function resolveMaxPayload(draft: Draft): number {
  const maxPayload = draft.values['server.max_payload_bytes'];
  const maxMessage = draft.values['server.max_message_bytes'];
  // To lower max_message_bytes alone is no mistake; no payload is larger than a message then.
  if (!draft.isGiven('server.max_payload_bytes')) return Math.min(maxPayload, maxMessage);
  // UpdateOperation carries two: data and progress.
  const needed = 2 * maxPayload + BESIDE_PAYLOADS_BYTES;
  if (needed > maxMessage) {
    const message = `${maxPayload} needs a server.max_message_bytes of ${needed} at least, which is ${maxMessage}`;
    draft.complain('server.max_payload_bytes', message, ['server.max_message_bytes']);
  }
  return maxPayload;
}

function resolveWorkers(draft: Draft): number {
  const workers = draft.values['server.workers'];
  // In memory each would grant to its own clients what another has already granted.
  if (workers > 1 && !draft.hasSection('redis')) {
    const message = `${workers} server processes need a redis section: in memory, each would have its own locks`;
    draft.complain('server.workers', message);
  }
  return workers;
}

function resolveServerTls(draft: Draft): ServerTlsConfig | undefined {
  if (!draft.hasSection('server.tls')) return undefined;
  for (const key of ['server.tls.cert_file', 'server.tls.key_file'] as const) {
    if (!draft.isGiven(key)) draft.complain(key, 'required for TLS');
  }
  const certFile = resolveFile(draft, 'server.tls.cert_file');
  const keyFile = resolveFile(draft, 'server.tls.key_file');
  const clientCaFile = resolveFile(draft, 'server.tls.client_ca_file');
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile, clientCaFile };
}

function resolveLocks(draft: Draft): LocksConfig {
  const maxTtlMs = draft.values['locks.max_ttl'];
  const defaultTtlMs = draft.values['locks.default_ttl'];
  // To lower max_ttl alone is no mistake, so the default gives way to it; a default_ttl that was given doesn't.
  if (!draft.isGiven('locks.default_ttl'))
    return { maxTtlMs, defaultTtlMs: Math.min(defaultTtlMs, maxTtlMs) };
  if (defaultTtlMs > maxTtlMs) {
    const message = `expected at most locks.max_ttl (${maxTtlMs} ms), got ${defaultTtlMs} ms`;
    draft.complain('locks.default_ttl', message, ['locks.max_ttl']);
  }
  return { maxTtlMs, defaultTtlMs };
}

/**
 * Reads the tokens to find mistakes before anything starts. The server reads them again, because the file may change
 * while it runs.
 */
function resolveAuth(draft: Draft): AuthConfig {
  const anonymousAdmin = draft.values['auth.anonymous_admin'];
  const tokensFile = locateFile(draft, 'auth.tokens_file');
  if (tokensFile === undefined) return { tokensFile, anonymousAdmin };
  if (anonymousAdmin) {
    const message =
      'true together with auth.tokens_file, which allows no anonymous caller; keep one of the two';
    draft.complain('auth.anonymous_admin', message, ['auth.tokens_file']);
  }
  const file = readTokensFile(tokensFile);
  if (file.kind === 'refused') draft.complainOfEach('auth.tokens_file', file.problems);
  return { tokensFile, anonymousAdmin };
}

function resolveMonitoring({ values }: Draft): MonitoringConfig {
  const interval = values['monitoring.poll_interval'];
  return {
    pollIntervalMs: interval === 'off' ? undefined : interval,
    groupBy: values['monitoring.group_by'],
    traceNames: values['monitoring.trace_names'],
  };
}

/** @returns undefined for the embedded store, or after a complaint. */
function resolveRedis(draft: Draft): RedisConfig | undefined {
  if (!draft.hasSection('redis')) return undefined;
  const base = resolveBase(draft);
  if (!draft.isGiven('redis.address')) {
    draft.complain(
      'redis.address',
      'required in a redis section; without the section, the store is in memory',
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
    rollCall: values['redis.quarantine'] === 'on' ? values['redis.roll_call'] : 'off',
    maxToldLeases: values['redis.max_told_leases'],
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
  const given = resolveSecret(draft, key, fileKey);
  if (username !== undefined && !draft.isGiven(key) && !draft.isGiven(fileKey)) {
    draft.complain(userKey, `needs ${key} or ${fileKey}`);
  }
  return given && { username, password: given.secret, passwordFile: given.file };
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
    // The environment may switch off the TLS that the file describes. Any other mixture contradicts itself, and to
    // take it for "off" would send passwords in the clear.
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
