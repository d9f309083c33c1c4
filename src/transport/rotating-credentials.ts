// Server credentials of grpc-js that can be replaced while the server serves: connections that are made from then on
// get the new ones, and open ones stay. grpc-js has credentials that watch files, but these drop every connection while
// a file can't be read.

import { ServerCredentials } from '@grpc/grpc-js';

/** PEM texts. */
export interface ServerPems {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** If given, clients must show a certificate that one of these authorities signed. */
  readonly ca?: Buffer;
}

export class RotatingCredentials extends ServerCredentials {
  constructor(pems: ServerPems) {
    const made = grpcCredentials(pems);
    super(made._getConstructorOptions(), made._getSecureContextOptions() ?? undefined);
  }

  /** Whether clients must show certificates stays as it was. */
  replace(pems: ServerPems): void {
    const made = grpcCredentials(pems);
    // Node takes each context as a whole: without the ciphers, it would go back to its own.
    const { ciphers } = made._getConstructorOptions() ?? {};
    this.updateSecureContextOptions({ ...made._getSecureContextOptions(), ...(ciphers ? { ciphers } : {}) });
  }

  override _equals(other: ServerCredentials): boolean {
    return other === this;
  }
}

function grpcCredentials({ cert, key, ca }: ServerPems): ServerCredentials {
  return ServerCredentials.createSsl(ca ?? null, [{ cert_chain: cert, private_key: key }], ca !== undefined);
}
