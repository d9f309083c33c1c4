// The certificate, the key and the authorities that the server shows and checks: read at the start, and again while it
// serves, because certificates are renewed long before a server is restarted. Files that can't be read, are half
// written or don't fit together must not cost a connection: what they held before stays in use, and the log has an
// error. The gRPC server says when to look.

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { ServerTlsConfig } from '../config/config.ts';
import { checkPems, type Pems, pemTrouble, samePems } from '../config/pem-files.ts';
import { toldOnce } from '../domain/told-once.ts';
import type { ServerPems } from '../transport/grpc/server-sockets.ts';
import type { ServerCertificates } from '../transport/grpc-server.ts';

export class ServingCertificates implements ServerCertificates {
  readonly #files: ServerTlsConfig;
  /** As the log names them. */
  readonly #names: string;
  readonly #log: Logger;
  readonly #trouble: (reason: string | undefined) => void;
  #current: ServerPems;

  private constructor(files: ServerTlsConfig, first: ServerPems, log: Logger) {
    this.#files = files;
    this.#current = first;
    this.#log = log;
    const { certFile, keyFile, clientCaFile } = files;
    this.#names = [certFile, keyFile, clientCaFile].filter((file) => file !== undefined).join(', ');
    this.#trouble = toldOnce((reason) =>
      log.error(
        { files: this.#names, reason },
        'server.tls cannot be read again; what the files held stays in use',
      ),
    );
  }

  /** Rejects if the files can't be used. */
  static async open(files: ServerTlsConfig, log: Logger): Promise<ServingCertificates> {
    return new ServingCertificates(files, await readUsable(files), log);
  }

  get current(): ServerPems {
    return this.#current;
  }

  async refreshed(): Promise<boolean> {
    try {
      const found = await readUsable(this.#files);
      this.#trouble(undefined);
      if (samePems(found, this.#current)) return false;
      this.#current = found;
      const { validTo } = new X509Certificate(found.cert);
      this.#log.info({ files: this.#names, validTo }, 'server.tls read again');
      return true;
    } catch (error) {
      this.#trouble(pemTrouble(error));
      return false;
    }
  }
}

async function readUsable({ certFile, keyFile, clientCaFile }: ServerTlsConfig): Promise<ServerPems> {
  const [cert, key, ca] = await Promise.all([
    readFile(certFile),
    readFile(keyFile),
    clientCaFile === undefined ? undefined : readFile(clientCaFile),
  ]);
  const pems: Pems & ServerPems = { cert, key, ...(ca ? { ca } : {}) };
  checkPems(pems);
  return pems;
}
