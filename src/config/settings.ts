// The one table of all settings. Validation, environment variables and the check of docs/configuration.md come from it;
// a key that isn't here doesn't exist. Rules between keys are in resolve-config.ts.
import { z } from 'zod';
import { LIMITS } from '../domain/limits.ts';
import {
  addresses,
  choice,
  duration,
  durationOrOff,
  filePath,
  flag,
  hostName,
  integer,
  listenAddress,
  listenAddressOrOff,
  notesOf,
  optional,
  type SettingNotes,
  secretText,
  text,
  withDefault,
} from './value-kind.ts';

const MAX_SENTINELS = 64;
/** Each is an instance with connections of its own to Redis and to every Sentinel. */
const MAX_WORKERS = 64;
const EVICTING_POLICY = /^(allkeys|volatile)-[a-z]{1,32}$/;
const MASTER_NAME = /^[A-Za-z0-9._-]{1,128}$/;
const USERNAME = /^[^\s\p{Cc}]{1,128}$/u;
const KEY_PREFIX = /^[^\s\p{Cc}{}]*$/u;

const masterName = text('1 to 128 letters, digits, dots, dashes or underscores', (name) =>
  MASTER_NAME.test(name),
);
const username = text('1 to 128 characters without spaces', (name) => USERNAME.test(name));
const keyPrefix = text('0 to 64 bytes without spaces or braces', (prefix) => {
  // Braces would make a hash tag of their own, and the keys of one bucket would no longer share a slot.
  return KEY_PREFIX.test(prefix) && Buffer.byteLength(prefix) <= 64;
});
const evictingPolicy = text('a maxmemory-policy that evicts, such as allkeys-lru', (name) =>
  EVICTING_POLICY.test(name),
);

const nameSeparator = text('one of the characters / : . - _', (written) => /^[/:.\-_]$/.test(written));

export const SETTINGS = z.object({
  'server.address': withDefault(listenAddress(), '127.0.0.1:50051', 'Where gRPC clients connect.'),
  'server.tls.cert_file': optional(
    filePath(),
    'Certificate chain of the server (PEM). With it, the server speaks only TLS.',
  ),
  'server.tls.key_file': optional(filePath(), 'Private key of `server.tls.cert_file` (PEM).'),
  'server.tls.client_ca_file': optional(
    filePath(),
    'Certificate authorities for client certificates (PEM). With them, every client must present a certificate that one of them signed.',
  ),
  'server.max_connection_age': withDefault(
    duration('1s', '24h'),
    '30m',
    'After this time the server asks the client to open a new connection, so that load spreads. Calls and streams on the old one go on for `server.keepalive_time`, and then it is cut: clients open them anew, and leases live on.',
  ),
  'server.drain_timeout': withDefault(
    duration('0s', '10m'),
    '10s',
    'How long a stopping server lets its streams move to other instances before it ends them.',
  ),
  'server.max_message_bytes': withDefault(
    integer(4_096, 4_194_304),
    131_072,
    'Largest message a client may send.',
  ),
  'server.max_payload_bytes': withDefault(
    integer(1_024, LIMITS.largestPayloadBytes),
    LIMITS.defaultPayloadBytes,
    'Largest data, progress, result or error of an operation, the same on all instances. `server.max_message_bytes` must have room for two of them and 16 KiB.',
  ),
  'server.max_concurrent_streams': withDefault(
    integer(1, 1_000_000),
    1_000,
    'Calls that may be open at once on one connection; further calls wait in the client.',
  ),
  'server.keepalive_time': withDefault(
    duration('1s', '10m'),
    '30s',
    'How often the server sends a connected client an HTTP/2 ping.',
  ),
  'server.keepalive_timeout': withDefault(
    duration('1s', '1m'),
    '10s',
    'How long the server waits for the answer to a ping before it treats the client as dead and stops renewing its leases.',
  ),
  'server.workers': withDefault(
    integer(1, MAX_WORKERS),
    1,
    'Server processes that share the port, each an instance of its own, so that one machine can use more than one core. More than one needs a Redis.',
  ),
  'server.reflection': withDefault(
    flag(),
    true,
    'Whether tools such as grpcurl may ask which services the server has.',
  ),

  'auth.tokens_file': optional(
    filePath(),
    'File with the tokens of the callers, `name role token` on each line. With it, every call needs one of the tokens.',
  ),
  'auth.anonymous_admin': withDefault(
    flag(),
    false,
    'Without a tokens file: whether every caller may use `ForceRelease` on the leases of others.',
  ),

  'admin.address': withDefault(
    listenAddressOrOff(),
    '127.0.0.1:9464',
    'Where `/metrics`, `/healthz`, `/readyz` and `/doctor` are served over plain HTTP.',
  ),

  'redis.failover_cluster': withDefault(
    flag(),
    false,
    'true: `redis.address` lists Sentinels, which know the primary. false: it names a single Redis.',
  ),
  'redis.master_name': optional(
    masterName,
    'The name under which the Sentinels know the primary. Required with `failover_cluster: true`, refused without it.',
  ),
  'redis.address': optional(
    addresses(MAX_SENTINELS),
    'The Sentinels, or the single Redis. Required in a `redis` section.',
  ),
  'redis.username': optional(username, 'User to log in to Redis as (ACL). Needs a password.'),
  'redis.password': optional(secretText(), 'Password for Redis.'),
  'redis.password_file': optional(filePath(), 'File that holds the password for Redis.'),
  'redis.sentinel_username': optional(
    username,
    'User to log in to the Sentinels as. Needs a Sentinel password.',
  ),
  'redis.sentinel_password': optional(secretText(), 'Password for the Sentinels.'),
  'redis.sentinel_password_file': optional(filePath(), 'File that holds the password for the Sentinels.'),
  'redis.db': withDefault(
    integer(0, 2_147_483_647, 'a whole number, 0 or more'),
    0,
    'Number of the Redis database. The same on all instances.',
  ),
  'redis.tls': optional(flag(), 'true: use TLS to Redis, and trust the authorities that Node.js trusts.'),
  'redis.tls.ca_file': optional(filePath(), 'Certificate authorities to trust instead (PEM). Turns TLS on.'),
  'redis.tls.cert_file': optional(filePath(), 'Client certificate to present to Redis (PEM). Turns TLS on.'),
  'redis.tls.key_file': optional(filePath(), 'Private key of `redis.tls.cert_file` (PEM).'),
  'redis.tls.server_name': optional(
    hostName(),
    "Name to expect in the certificate of Redis, if it isn't the host in the address. Turns TLS on.",
  ),
  'redis.sentinel_tls': optional(flag(), 'The same for the Sentinels; independent of `redis.tls`.'),
  'redis.sentinel_tls.ca_file': optional(
    filePath(),
    'Certificate authorities to trust instead (PEM). Turns TLS on.',
  ),
  'redis.sentinel_tls.cert_file': optional(
    filePath(),
    'Client certificate to present to the Sentinels (PEM). Turns TLS on.',
  ),
  'redis.sentinel_tls.key_file': optional(filePath(), 'Private key of `redis.sentinel_tls.cert_file` (PEM).'),
  'redis.sentinel_tls.server_name': optional(
    hostName(),
    "Name to expect in the certificates of the Sentinels, if it isn't the host in the address. Turns TLS on.",
  ),
  'redis.key_prefix': withDefault(
    keyPrefix,
    'leasehold:',
    'The beginning of every key in Redis. The same on all instances; another prefix is a separate set of locks.',
  ),
  'redis.command_timeout': withDefault(
    duration('100ms', '10s'),
    '1s',
    'How long a command may take. After that the call fails as unavailable, and its outcome is unknown.',
  ),
  'redis.connect_timeout': withDefault(duration('100ms', '30s'), '2s', 'How long it may take to connect.'),
  'redis.max_in_flight': withDefault(
    integer(1, 1_000_000),
    4_096,
    'Commands that may wait for their reply at once; further calls are refused, so that they do not pile up.',
  ),
  'redis.durability': withDefault(
    choice(['async', 'replicated']),
    'async',
    'When a write counts as stored: once the primary has it (`async`), or once `redis.min_acks` replicas have it too (`replicated`).',
  ),
  'redis.min_acks': withDefault(
    integer(1, 16),
    1,
    'How many replicas must have a write with `replicated`, here or in a request. With all of them, no failover loses it.',
  ),
  'redis.bootstrap': withDefault(
    choice(['wait', 'new']),
    'wait',
    'What to do on an empty Redis: wait one quarantine (`wait`), or take your word that no lease can exist yet (`new`).',
  ),
  'redis.allow_eviction_policy': optional(
    evictingPolicy,
    'A `maxmemory-policy` to accept although it lets Redis drop live locks. Without it, only `noeviction` is accepted.',
  ),
  'redis.quarantine': withDefault(
    choice(['on', 'off']),
    'on',
    'Whether new grants wait after a failover or restart of Redis. `off` gives up the promise of one valid lease.',
  ),
  'redis.roll_call': withDefault(
    choice(['on', 'off']),
    'on',
    'Whether a quarantine ends as soon as all instances have put back what they told. One value for the whole deployment.',
  ),
  'redis.max_told_leases': withDefault(
    integer(1_000, 10_000_000),
    250_000,
    'Leases and attempts that an instance remembers for a roll call, some 400 bytes each; an attempt with a lock counts as two. Beyond that a quarantine lasts its whole time.',
  ),

  'locks.max_ttl': withDefault(
    duration('2s', '10m'),
    '30s',
    'Longest TTL that a lease may have; it also sets the length of the quarantine. One value for the whole deployment.',
  ),
  'locks.default_ttl': withDefault(
    duration('1s', '10m'),
    '20s',
    'TTL of a lease whose caller names none. At most `locks.max_ttl`; a shorter `locks.max_ttl` alone lowers the default with it.',
  ),

  'monitoring.poll_interval': withDefault(
    durationOrOff('1s', '10m'),
    '10s',
    'How often the instance reads what Redis, its replicas and the Sentinels say of themselves, for `/metrics`. `off`: never.',
  ),
  'monitoring.group_by': optional(
    nameSeparator,
    'Adds metrics of locks by the first segment of their names, which this character ends. Names can be secret, so without it no metric shows any part of them.',
  ),
  'monitoring.trace_names': withDefault(
    flag(),
    false,
    'Whether spans show the names of resources and the types of operations. Without it they show a hash of the name, since names can be secret.',
  ),

  'log.level': withDefault(
    choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal']),
    'info',
    'Lowest level that the server logs.',
  ),
  'log.format': withDefault(
    choice(['json', 'pretty']),
    'json',
    '`json`: one object per line, for machines. `pretty`: coloured text, for people.',
  ),
});

export type SettingKey = keyof typeof SETTINGS.shape;
export type SettingValues = z.output<typeof SETTINGS>;

export interface Setting extends SettingNotes {
  readonly key: SettingKey;
  readonly environmentName: string;
}

export const SETTING_LIST: readonly Setting[] = SETTINGS.keyof().options.map((key) => ({
  key,
  environmentName: `LEASEHOLD_${key.replaceAll('.', '_').toUpperCase()}`,
  ...notesOf(SETTINGS.shape[key]),
}));

const settingByKey: ReadonlyMap<string, Setting> = new Map(
  SETTING_LIST.map((setting) => [setting.key, setting]),
);

/** Every prefix of a key that names a group of keys: `redis`, `redis.tls`, … */
const sections: ReadonlySet<string> = new Set(
  SETTING_LIST.flatMap(({ key }) => {
    const parts = key.split('.');
    return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('.'));
  }),
);

export function findSetting(path: string): Setting | undefined {
  return settingByKey.get(path);
}

export function isSection(path: string): boolean {
  return sections.has(path);
}

/** The names that the section may hold directly ('' is the top of the file). */
export function namesIn(section: string): string[] {
  const prefix = section === '' ? '' : `${section}.`;
  const inside = SETTING_LIST.filter(({ key }) => key.startsWith(prefix));
  return [...new Set(inside.map(({ key }) => key.slice(prefix.length).split('.')[0] ?? ''))];
}
