// Puts the configuration together from checked values, with the rules between keys of the sections other than redis.
import type { Config, LocksConfig, ServerConfig, ServerTlsConfig } from './config.ts';
import type { Draft } from './draft.ts';
import { resolveAuth } from './resolve-auth.ts';
import { resolveFile } from './resolve-files.ts';
import { resolveRedis } from './resolve-redis.ts';

/** Only of use if `draft.problems` is still empty afterwards. */
export function resolveConfig(draft: Draft): Config {
  const { values } = draft;
  const adminAddress = values['admin.address'];
  return {
    server: resolveServer(draft),
    auth: resolveAuth(draft),
    admin: adminAddress === 'off' ? undefined : { address: adminAddress },
    redis: resolveRedis(draft),
    locks: resolveLocks(draft),
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
    maxConcurrentStreams: values['server.max_concurrent_streams'],
    keepaliveTimeMs: values['server.keepalive_time'],
    keepaliveTimeoutMs: values['server.keepalive_timeout'],
    workers: resolveWorkers(draft),
    reflection: values['server.reflection'],
  };
}

function resolveWorkers(draft: Draft): number {
  const workers = draft.values['server.workers'];
  // In memory each would grant what the others have granted, to whoever happens to be connected to it.
  if (workers > 1 && !draft.hasSection('redis')) {
    const message = `${workers} workers need a redis section: in memory each would have locks of its own`;
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
  // Whoever only lowers max_ttl has said nothing wrong, so the default gives way; a written default_ttl doesn't.
  if (!draft.isGiven('locks.default_ttl'))
    return { maxTtlMs, defaultTtlMs: Math.min(defaultTtlMs, maxTtlMs) };
  if (defaultTtlMs > maxTtlMs) {
    const message = `expected at most locks.max_ttl (${maxTtlMs} ms), got ${defaultTtlMs} ms`;
    draft.complain('locks.default_ttl', message, ['locks.max_ttl']);
  }
  return { maxTtlMs, defaultTtlMs };
}
