// How this program connects to the Redis nodes and to the Sentinels that the configuration names: the store, the
// monitor, and the commands that examine a deployment.

import type {
  ClientTlsConfig,
  RedisConfig,
  RedisCredentials,
  SentinelRedisConfig,
} from '../config/config.ts';
import type { ConnectionSettings } from '../store/redis/connection.ts';
import type { StoreObserver } from '../store/store.ts';
import { currentSecrets } from './current-secrets.ts';

/** Hears of files that can't be read again. */
type Observer = Pick<StoreObserver, 'event'>;

/** @param name what CLIENT LIST shows: letters, digits and dashes. */
export function redisConnection(redis: RedisConfig, name: string, observer: Observer): ConnectionSettings {
  return { ...settings(redis, redis.credentials, redis.tls, name, observer), db: redis.db };
}

export function sentinelConnection(
  redis: SentinelRedisConfig,
  name: string,
  observer: Observer,
): ConnectionSettings {
  return settings(redis, redis.sentinelCredentials, redis.sentinelTls, name, observer);
}

function settings(
  { connectTimeoutMs }: RedisConfig,
  credentials: RedisCredentials | undefined,
  tls: ClientTlsConfig | undefined,
  name: string,
  observer: Observer,
): ConnectionSettings {
  return {
    username: credentials?.username,
    secrets: currentSecrets(credentials, tls, observer),
    connectTimeoutMs,
    name,
  };
}
