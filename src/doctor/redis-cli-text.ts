// The redis-cli commands that findings give people: complete, so that they can be copied, and without any secret.

import type { ClientTlsConfig, RedisConfig, RedisCredentials } from '../config/config.ts';
import type { HostPort } from '../domain/host-port.ts';

/** A command for a Redis node. With a password, redis-cli asks for it. */
export function redisCli(redis: RedisConfig, address: HostPort, command: string): string {
  return commandLine(address, redis.credentials, redis.tls, command);
}

/** The same for a Sentinel. */
export function sentinelCli(redis: RedisConfig, address: HostPort, command: string): string {
  if (redis.kind !== 'sentinel') return commandLine(address, undefined, undefined, command);
  return commandLine(address, redis.sentinelCredentials, redis.sentinelTls, command);
}

/** Sets a value of the running node, and writes it into its file. */
export function setting(redis: RedisConfig, address: HostPort, name: string, value: string): string {
  const written = value === '' || value.includes(' ') ? `"${value}"` : value;
  return [
    redisCli(redis, address, `CONFIG SET ${name} ${written}`),
    redisCli(redis, address, 'CONFIG REWRITE'),
  ].join(' && ');
}

/** Sets a value at every Sentinel: each has its own. */
export function sentinelSetting(
  redis: RedisConfig,
  sentinels: readonly HostPort[],
  name: string,
  value: string | number,
): string {
  const masterName = masterNameOf(redis);
  const commands = sentinels.map((address) =>
    sentinelCli(redis, address, `SENTINEL SET ${masterName} ${name} ${value}`),
  );
  return commands.join(' && ');
}

export function masterNameOf(redis: RedisConfig): string {
  return redis.kind === 'sentinel' ? redis.masterName : '';
}

function commandLine(
  { host, port }: HostPort,
  credentials: RedisCredentials | undefined,
  tls: ClientTlsConfig | undefined,
  command: string,
): string {
  const words = ['redis-cli', '-h', host, '-p', String(port)];
  if (credentials?.username !== undefined) words.push('--user', credentials.username);
  if (credentials) words.push('--askpass');
  if (tls) words.push('--tls');
  if (tls?.caFile !== undefined) words.push('--cacert', tls.caFile);
  if (tls?.clientCertificate) {
    words.push('--cert', tls.clientCertificate.certFile, '--key', tls.clientCertificate.keyFile);
  }
  return `${words.join(' ')} ${command}`;
}
