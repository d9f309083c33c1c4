// The configuration as the rest of the program sees it: complete, checked, read-only. Times are in milliseconds. The
// types leave no room for combinations that make no sense, such as a master name without Sentinels.
import type { HostPort } from '../domain/host-port.ts';
import { Secret } from './secret.ts';

export interface Config {
  readonly server: ServerConfig;
  readonly auth: AuthConfig;
  /** undefined: the server has no admin endpoint. */
  readonly admin: AdminConfig | undefined;
  /** undefined: the embedded in-memory store, which no other instance shares. */
  readonly redis: RedisConfig | undefined;
  readonly locks: LocksConfig;
  readonly monitoring: MonitoringConfig;
  readonly log: LogConfig;
}

export interface ServerConfig {
  readonly address: HostPort;
  /** undefined: plain text. */
  readonly tls: ServerTlsConfig | undefined;
  readonly maxConnectionAgeMs: number;
  readonly drainTimeoutMs: number;
  readonly maxMessageBytes: number;
  /** Of each of an operation's data, progress, result and error. */
  readonly maxPayloadBytes: number;
  /** Per connection. */
  readonly maxConcurrentStreams: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Server processes that share the address; more than one only with a Redis. */
  readonly workers: number;
  readonly reflection: boolean;
}

/** Absolute paths of PEM files. Each could be read when the configuration was loaded. */
export interface ServerTlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
  /** With it, a client must present a certificate that one of these authorities signed. */
  readonly clientCaFile: string | undefined;
}

export interface AuthConfig {
  /** Absolute path; the file had no mistake when the configuration was loaded. undefined: everybody may call. */
  readonly tokensFile: string | undefined;
  /** Without a tokens file: every caller has the rights of an administrator. */
  readonly anonymousAdmin: boolean;
}

export interface AdminConfig {
  readonly address: HostPort;
}

export type RedisConfig = SentinelRedisConfig | SingleRedisConfig;

export interface SentinelRedisConfig extends RedisBase {
  readonly kind: 'sentinel';
  readonly masterName: string;
  /** At least one, and each only once. */
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
  /** Replicas that must have what an answer says before it is sent; 0 with `redis.durability: async`. */
  readonly minAcks: number;
  /** The same for a request that asks for replication and names no number. */
  readonly replicatedMinAcks: number;
  readonly bootstrap: 'wait' | 'new';
  /** A `maxmemory-policy` to accept beside `noeviction`. */
  readonly allowEvictionPolicy: string | undefined;
  readonly quarantine: 'on' | 'off';
  /** Off without a quarantine: there is none to end. */
  readonly rollCall: 'on' | 'off';
  /** How many leases an instance remembers for a roll call. */
  readonly maxToldLeases: number;
}

export interface RedisCredentials {
  /** undefined: the default user. */
  readonly username: string | undefined;
  /** As it was when the configuration was loaded. */
  readonly password: Secret;
  /** Absolute path of a file, which may change while the server runs; undefined: the password is in no file. */
  readonly passwordFile: string | undefined;
}

/** Absolute paths, as in ServerTlsConfig. */
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

export interface MonitoringConfig {
  /** How often Redis and the Sentinels are read; undefined: never. */
  readonly pollIntervalMs: number | undefined;
  /** The character that ends the group of a resource's name; undefined: metrics show no part of names. */
  readonly groupBy: string | undefined;
  /** Whether spans show names, and not only their hashes. */
  readonly traceNames: boolean;
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
