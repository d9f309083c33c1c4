// The `tls` option: what can never work is refused when the client is made, by the name of its part. Without this,
// Node.js takes an authority that is no certificate for none at all, and the first call fails as if by the server.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { ADVICE } from './advice.ts';
import { invalidOption } from './client-errors.ts';
import { channelCredentials, type Pem, type TlsIdentity } from './core/credentials.ts';

export interface ClientTls extends TlsIdentity {
  /** The name in the servers' certificates, where it isn't the host of the address. */
  readonly serverName?: string | undefined;
}

const OF_PEM = 'Give it as PEM text, not as a path.';
const CERTIFICATE = /-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[\s\S]*?-----END \1-----/g;

/** Undefined for a connection in plain text. Throws InvalidArgumentError. */
export function tlsOf(tls: boolean | ClientTls | undefined): ClientTls | undefined {
  if (tls === undefined || tls === false) return undefined;
  if (tls === true) return {};
  if (typeof tls !== 'object' || tls === null) {
    throw invalidOption('tls', 'must be true, false, or { ca, cert, key, serverName }', ADVICE.TLS_FAILED);
  }
  const { ca, cert, key, serverName } = tls;
  if (ca !== undefined) certificatesIn('tls.ca', ca);
  if ((cert === undefined) !== (key === undefined)) {
    const [missing, given] = cert === undefined ? ['tls.cert', 'tls.key'] : ['tls.key', 'tls.cert'];
    throw invalidOption(
      missing,
      `is missing: ${given} needs it`,
      'A certificate and its key belong together.',
    );
  }
  if (cert !== undefined && key !== undefined) {
    const [own] = certificatesIn('tls.cert', cert);
    if (!own?.checkPrivateKey(keyIn('tls.key', key))) {
      throw invalidOption(
        'tls.key',
        'is not the key of tls.cert',
        'A certificate and its key belong together.',
      );
    }
  }
  if (serverName !== undefined && (typeof serverName !== 'string' || serverName === '')) {
    throw invalidOption('tls.serverName', 'must be a name', 'Leave it out for the host of the address.');
  }
  return tls;
}

/** For what `tlsOf` returned. */
export function credentialsOf(tls: TlsIdentity | undefined) {
  try {
    return channelCredentials(tls);
  } catch (cause) {
    throw invalidOption(
      'tls',
      messageOf(cause),
      `${ADVICE.TLS_FAILED} Its parts are PEM texts, not paths.`,
      cause,
    );
  }
}

// At least one.
function certificatesIn(option: string, pem: Pem): X509Certificate[] {
  const certificates = textOf(option, pem).match(CERTIFICATE) ?? [];
  if (certificates.length === 0) throw invalidOption(option, 'holds no certificate', OF_PEM);
  return certificates.map((certificate) => {
    try {
      return new X509Certificate(certificate);
    } catch (cause) {
      const description = `holds a certificate that can't be read (${messageOf(cause)})`;
      throw invalidOption(option, description, OF_PEM, cause);
    }
  });
}

function keyIn(option: string, pem: Pem): KeyObject {
  try {
    return createPrivateKey(textOf(option, pem));
  } catch (cause) {
    const description = `holds no private key that can be read without a passphrase (${messageOf(cause)})`;
    throw invalidOption(option, description, OF_PEM, cause);
  }
}

function textOf(option: string, pem: Pem): string {
  if (typeof pem === 'string') return pem;
  if (pem instanceof Uint8Array) return Buffer.from(pem).toString('latin1');
  throw invalidOption(option, 'must be a string or a Uint8Array', OF_PEM);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
