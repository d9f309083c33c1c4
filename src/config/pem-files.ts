// What the PEM files of one side of TLS may hold. The configuration opens these files, and the server reads them, at
// the start and again while it runs, because somebody rotates them. A file that is half written must be noticed then.
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { fileTrouble } from './config-error.ts';

export interface Pems {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** Throws for what is no certificate or no key, and for a key that is not the certificate's. */
export function checkPems(pems: Pems): void {
  createSecureContext(pems);
  // The line above takes authorities that are empty or cut off, and then trusts nobody.
  if (pems.ca === undefined) return;
  try {
    new X509Certificate(pems.ca);
  } catch (error) {
    throw new Error('the file of the authorities holds no certificate', { cause: error });
  }
}

export function samePems(one: Pems, other: Pems): boolean {
  const names = ['ca', 'cert', 'key'] as const;
  return names.every((name) => (one[name] ?? '').toString() === (other[name] ?? '').toString());
}

/** Why files could not be read, or what is wrong with them, in words that show no path and nothing that they hold. */
export function pemTrouble(error: unknown): string {
  if (error instanceof Error && 'syscall' in error) return `cannot read the file: ${fileTrouble(error)}`;
  return error instanceof Error ? error.message : String(error);
}
