// The redis-cli commands that findings give people: complete, so that they can be pasted into a shell, and without any
// secret.
//
// A user who can only do what Leasehold needs is refused by what changes a node. So such commands have no --user: they
// log in as the default user; where the administrator is another one, people add the name.

import type { ClientTlsConfig, RedisConfig, RedisCredentials } from '../config/config.ts';
import type { HostPort } from '../domain/host-port.ts';

/** A question to a Redis node. With a password, redis-cli asks for it. */
export function redisCli(redis: RedisConfig, address: HostPort, command: string): string {
  return commandLine(address, redis.credentials, redis.tls, command);
}

/** The same for a Sentinel. */
export function sentinelCli(redis: RedisConfig, address: HostPort, command: string): string {
  if (redis.kind !== 'sentinel') return commandLine(address, undefined, undefined, command);
  return commandLine(address, redis.sentinelCredentials, redis.sentinelTls, command);
}

/** A change of a Redis node, by its administrator. */
export function redisAdminCli(redis: RedisConfig, address: HostPort, command: string): string {
  return commandLine(address, administrator(redis.credentials), redis.tls, command);
}

/** The same for a Sentinel. */
export function sentinelAdminCli(redis: RedisConfig, address: HostPort, command: string): string {
  if (redis.kind !== 'sentinel') return commandLine(address, undefined, undefined, command);
  return commandLine(address, administrator(redis.sentinelCredentials), redis.sentinelTls, command);
}

/**
 * Gives the user of the configuration rights at a Redis node, and writes that into its file.
 *
 * @param aclFile the setting of the node, undefined if unknown. Where it is empty, users are in the configuration file.
 */
export function allowAtRedis(
  redis: RedisConfig,
  address: HostPort,
  rights: readonly string[],
  aclFile: string | undefined,
): string {
  return [
    redisAdminCli(redis, address, setUser(redis.credentials, rights)),
    redisAdminCli(redis, address, aclFile === '' ? 'CONFIG REWRITE' : 'ACL SAVE'),
  ].join(' && ');
}

/** The same for a Sentinel, which keeps its users in its own file. */
export function allowAtSentinel(redis: RedisConfig, address: HostPort, rights: readonly string[]): string {
  const credentials = redis.kind === 'sentinel' ? redis.sentinelCredentials : undefined;
  return [
    sentinelAdminCli(redis, address, setUser(credentials, rights)),
    sentinelAdminCli(redis, address, 'SENTINEL FLUSHCONFIG'),
  ].join(' && ');
}

/** Sets a value of the running node, and writes it into its file. */
export function setting(redis: RedisConfig, address: HostPort, name: string, value: string): string {
  const written = value === '' || value.includes(' ') ? `"${value}"` : value;
  return [
    redisAdminCli(redis, address, `CONFIG SET ${name} ${written}`),
    redisAdminCli(redis, address, 'CONFIG REWRITE'),
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
    sentinelAdminCli(redis, address, `SENTINEL SET ${masterName} ${name} ${value}`),
  );
  return commands.join(' && ');
}

export function masterNameOf(redis: RedisConfig): string {
  return redis.kind === 'sentinel' ? redis.masterName : '';
}

function administrator(credentials: RedisCredentials | undefined): RedisCredentials | undefined {
  return credentials && { ...credentials, username: undefined };
}

function setUser(credentials: RedisCredentials | undefined, rights: readonly string[]): string {
  return ['ACL', 'SETUSER', credentials?.username ?? 'default', ...rights].map(shellWord).join(' ');
}

/** A shell would take the bar of "+config|get" for a pipe, and a space for the end of a path. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
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
  return `${words.map(shellWord).join(' ')} ${command}`;
}
