// How a client shows who it is and whom it trusts, in the words of PEM files. Reads no files.

import { type ChannelCredentials, credentials } from '@grpc/grpc-js';

export type Pem = string | Uint8Array;

export interface TlsIdentity {
  /** The authorities that may have signed the servers' certificates; undefined: those that Node.js trusts. */
  readonly ca?: Pem | undefined;
  /** The client's own certificate and its key, for servers that want one; both or neither. */
  readonly cert?: Pem | undefined;
  readonly key?: Pem | undefined;
}

/** `undefined`: plain text. Throws what Node.js says about a certificate or key that it can't read. */
export function channelCredentials(tls: TlsIdentity | undefined): ChannelCredentials {
  if (!tls) return credentials.createInsecure();
  const [ca, key, cert] = [tls.ca, tls.key, tls.cert].map((pem) =>
    pem === undefined ? null : Buffer.from(pem),
  );
  return credentials.createSsl(ca ?? null, key ?? null, cert ?? null);
}
