// What the files of a connection to Redis hold now: its password, its certificates. They change while the server runs,
// when somebody rotates them, so they are read whenever a connection is made. A file that can't be read, or is half
// written, must not cost a connection: the last good one stays in use, and the log has an error.

import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { ClientTlsConfig, RedisCredentials } from '../config/config.ts';
import { checkPems, type Pems, pemTrouble } from '../config/pem-files.ts';
import { readSecretFile } from '../config/secret-file.ts';
import { toldOnce } from '../domain/told-once.ts';
import type { ConnectionSecrets } from '../store/redis/connection.ts';
import type { StoreObserver } from '../store/store.ts';

/** Throws if the files of TLS can't be read the first time. */
export function currentSecrets(
  credentials: RedisCredentials | undefined,
  tls: ClientTlsConfig | undefined,
  observer: Pick<StoreObserver, 'event'>,
): () => ConnectionSecrets {
  const password = currentPassword(credentials, observer);
  const options = tls && currentTls(tls, observer);
  return () => ({ password: password(), tls: options?.() });
}

function currentPassword(
  credentials: RedisCredentials | undefined,
  observer: Pick<StoreObserver, 'event'>,
): () => string | undefined {
  const first = credentials?.password.reveal();
  const file = credentials?.passwordFile;
  if (file === undefined) return () => first;
  const read = (): string | undefined => {
    const found = readSecretFile(file);
    if ('problem' in found) throw new Error(found.problem);
    return found.secret.reveal();
  };
  return lastGood(first, read, (reason) =>
    observer.event('error', 'the password cannot be read again; the former one stays in use', {
      file,
      reason,
    }),
  );
}

function currentTls(tls: ClientTlsConfig, observer: Pick<StoreObserver, 'event'>): () => ConnectionOptions {
  const read = (): Pems & ConnectionOptions => {
    const options = readTls(tls);
    checkPems(options); // throws for a key that is not the certificate's: one of the two is not yet rotated
    return options;
  };
  const { caFile, clientCertificate } = tls;
  const named = [caFile, clientCertificate?.certFile, clientCertificate?.keyFile];
  const files = named.filter((file) => file !== undefined).join(', ');
  return lastGood(readTls(tls), read, (reason) =>
    observer.event('error', 'the TLS files cannot be read again; what they held stays in use', {
      files,
      reason,
    }),
  );
}

function readTls({ caFile, clientCertificate, serverName }: ClientTlsConfig): Pems & ConnectionOptions {
  return {
    ...(caFile ? { ca: readFileSync(caFile) } : {}),
    ...(clientCertificate
      ? { cert: readFileSync(clientCertificate.certFile), key: readFileSync(clientCertificate.keyFile) }
      : {}),
    ...(serverName ? { servername: serverName } : {}),
  };
}

/** What `read` returns, or, when it throws, what it returned the last time. Complains of the same trouble once. */
function lastGood<T>(first: T, read: () => T, complain: (reason: string) => void): () => T {
  let good = first;
  const trouble = toldOnce(complain);
  return () => {
    try {
      good = read();
      trouble(undefined);
    } catch (error) {
      trouble(pemTrouble(error));
    }
    return good;
  };
}
