// The configuration as the rest of the program sees it: complete, checked, read-only. Times are in milliseconds, and
// combinations that make no sense (a master name without Sentinels) cannot be written down.
import type { HostPort } from '../domain/host-port.ts';
import { Secret } from './secret.ts';

export interface Config {
  readonly server: ServerConfig;
  readonly auth: AuthConfig;
  /** undefined: no admin endpoint is served. */
  readonly admin: AdminConfig | undefined;
  /** undefined: the embedded in-memory store, shared with no other instance. */
  readonly redis: RedisConfig | undefined;
  readonly locks: LocksConfig;
  readonly log: LogConfig;
}

export interface ServerConfig {
  readonly address: HostPort;
  /** undefined: plain text. */
  readonly tls: ServerTlsConfig | undefined;
  readonly maxConnectionAgeMs: number;
  readonly drainTimeoutMs: number;
  readonly maxMessageBytes: number;
  /** Per connection. */
  readonly maxConcurrentStreams: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Processes that share the address; more than one only with a Redis. */
  readonly workers: number;
  readonly reflection: boolean;
}

/** Absolute paths of PEM files that could be read when the configuration was loaded. */
export interface ServerTlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
  /** Given: clients must show a certificate signed by one of these. */
  readonly clientCaFile: string | undefined;
}

export interface AuthConfig {
  /** Absolute path of the callers' tokens, in order when the file was last read; undefined: everybody may call. */
  readonly tokensFile: string | undefined;
  /** Without a tokens file: everybody may do what administrators may. */
  readonly anonymousAdmin: boolean;
}

export interface AdminConfig {
  readonly address: HostPort;
}

export type RedisConfig = SentinelRedisConfig | SingleRedisConfig;

export interface SentinelRedisConfig extends RedisBase {
  readonly kind: 'sentinel';
  readonly masterName: string;
  /** At least one, none twice. */
  readonly sentinels: readonly HostPort[];
  readonly sentinelCredentials: RedisCredentials | undefined;
  readonly sentinelTls: ClientTlsConfig | undefined;
}

export interface SingleRedisConfig extends RedisBase {
  readonly kind: 'single';
  readonly address: HostPort;
}

interface RedisBase {
  readonly credentials: RedisCredentials | undefined;
  readonly db: number;
  /** undefined: plain text. */
  readonly tls: ClientTlsConfig | undefined;
  readonly keyPrefix: string;
  readonly commandTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** Commands. */
  readonly maxInFlight: number;
  /** Replicas that must have what an answer tells; 0 with `redis.durability: async`. */
  readonly minAcks: number;
  /** What a request that asks for replication without a number gets. */
  readonly replicatedMinAcks: number;
  readonly bootstrap: 'wait' | 'new';
  /** A `maxmemory-policy` that is accepted beside `noeviction`. */
  readonly allowEvictionPolicy: string | undefined;
  readonly quarantine: 'on' | 'off';
}

export interface RedisCredentials {
  /** undefined: the default user. */
  readonly username: string | undefined;
  readonly password: Secret;
}

/** Absolute paths, like those of the server. */
export interface ClientTlsConfig {
  /** undefined: the authorities that Node.js trusts. */
  readonly caFile: string | undefined;
  readonly clientCertificate: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** undefined: the host of the address. */
  readonly serverName: string | undefined;
}

export interface LocksConfig {
  readonly maxTtlMs: number;
  /** At most `maxTtlMs`. */
  readonly defaultTtlMs: number;
}

export interface LogConfig {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  readonly format: 'json' | 'pretty';
}

/** Makes a configuration read-only at every depth. A secret is read-only by itself. */
export function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !(value instanceof Secret)) {
    for (const inner of Object.values(value)) freeze(inner);
    Object.freeze(value);
  }
  return value;
}
