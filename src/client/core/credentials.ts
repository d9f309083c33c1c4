// The TLS credentials of a client: its own certificate, and the authorities that it trusts, as PEM texts. It reads no
// files.

import { type ChannelCredentials, credentials } from '@grpc/grpc-js';

export type Pem = string | Uint8Array;

export interface TlsIdentity {
  /** The authorities that may sign the servers' certificates; undefined: the ones that Node.js trusts. */
  readonly ca?: Pem | undefined;
  /** The client's own certificate and its key, for servers that ask for one; both or neither. */
  readonly cert?: Pem | undefined;
  readonly key?: Pem | undefined;
}

/**
 * Without `tls` the connection is plain text. Throws the error of Node.js for a certificate or key that it can't read.
 */
export function channelCredentials(tls: TlsIdentity | undefined): ChannelCredentials {
  if (!tls) return credentials.createInsecure();
  const [ca, key, cert] = [tls.ca, tls.key, tls.cert].map((pem) =>
    pem === undefined ? null : Buffer.from(pem),
  );
  return credentials.createSsl(ca ?? null, key ?? null, cert ?? null);
}
