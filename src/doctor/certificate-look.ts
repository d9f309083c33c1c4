// When certificates expire: those in the files that the configuration names, and those that Redis and the Sentinels
// present. It only shakes hands, without checking anybody, so that it sees an expired one, too.

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:tls';
import type { ClientTlsConfig, Config, RedisConfig } from '../config/config.ts';
import { pemTrouble } from '../config/pem-files.ts';
import { type Clock, within } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import type { ConnectionSettings } from '../store/redis/connection.ts';
import type { CertificateFacts, Look } from './facts.ts';
import { look } from './look.ts';

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export interface Peer {
  readonly address: HostPort;
  readonly what: string;
  readonly settings: ConnectionSettings;
}

export async function lookAtFiles(config: Config, redis: RedisConfig): Promise<readonly CertificateFacts[]> {
  const { tls } = config.server;
  const sentinelTls = redis.kind === 'sentinel' ? redis.sentinelTls : undefined;
  const files: (readonly [subject: string, what: string, path: string | undefined])[] = [
    ['server.tls.cert_file', 'the certificate of the server', tls?.certFile],
    ['server.tls.client_ca_file', 'the authorities for clients', tls?.clientCaFile],
    ...filesOf('redis.tls', redis.tls),
    ...filesOf('redis.sentinel_tls', sentinelTls),
  ];
  return Promise.all(
    files.flatMap(([subject, what, path]) => (path === undefined ? [] : [fileFacts(subject, what, path)])),
  );
}

/** Of a peer without TLS: nothing. */
export async function lookAtPeer(
  { address, what, settings }: Peer,
  clock: Clock,
  timeoutMs: number,
): Promise<readonly CertificateFacts[]> {
  const tls = settings.secrets?.().tls;
  if (!tls) return [];
  const late = (): Error => new Error(`no handshake within ${timeoutMs} ms`);
  const socket = connect({ ...address, ...tls, rejectUnauthorized: false });
  const presented = new Promise<number>((resolve, reject) => {
    socket.once('secureConnect', () => {
      const { valid_to: expires } = socket.getPeerCertificate();
      if (expires === undefined) reject(new Error('no certificate was presented'));
      else resolve(Date.parse(expires));
    });
    socket.on('error', reject);
  });
  const expiresAtMs = await look(() => within(clock, timeoutMs, presented, late));
  socket.destroy();
  return [{ subject: formatHostPort(address), what, expiresAtMs }];
}

function filesOf(
  section: string,
  tls: ClientTlsConfig | undefined,
): (readonly [string, string, string | undefined])[] {
  const whom = section === 'redis.tls' ? 'Redis' : 'the Sentinels';
  return [
    [`${section}.ca_file`, `the authorities for ${whom}`, tls?.caFile],
    [`${section}.cert_file`, `the client certificate for ${whom}`, tls?.clientCertificate?.certFile],
  ];
}

async function fileFacts(subject: string, what: string, path: string): Promise<CertificateFacts> {
  return { subject, what, expiresAtMs: await firstExpiry(path) };
}

async function firstExpiry(path: string): Promise<Look<number>> {
  try {
    const found = (await readFile(path, 'utf8')).match(PEM) ?? [];
    const ends = found.map((pem) => Date.parse(new X509Certificate(pem).validTo));
    return ends.length === 0 ? { unseen: 'the file holds no certificate' } : { seen: Math.min(...ends) };
  } catch (error) {
    return { unseen: pemTrouble(error) };
  }
}
