// A secret in a file of its own: what the file may hold. The configuration reads it when it is loaded, and the server
// again whenever it connects (deployment/current-secrets.ts).
import { readFileSync } from 'node:fs';
import { fileTrouble } from './config-error.ts';
import { Secret } from './secret.ts';

const MAX_SECRET_FILE_BYTES = 4_096;

/** @returns the secret, or what is wrong in words that show neither the path nor what the file holds. */
export function readSecretFile(path: string): { readonly secret: Secret } | { readonly problem: string } {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    return { problem: `cannot read the file: ${fileTrouble(error)}` };
  }
  const complaint = complainAboutSecret(bytes);
  if (complaint !== undefined) return { problem: `the file ${complaint}` };
  return { secret: new Secret(withoutLineEnd(bytes)) };
}

function complainAboutSecret(bytes: Buffer): string | undefined {
  if (bytes.length > MAX_SECRET_FILE_BYTES) return `is larger than ${MAX_SECRET_FILE_BYTES} bytes`;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return 'is not UTF-8 text';
  }
  const secret = withoutLineEnd(bytes);
  if (secret === '') return 'is empty';
  return /[\r\n\0]/.test(secret) ? 'has more than one line' : undefined;
}

function withoutLineEnd(bytes: Buffer): string {
  return bytes.toString('utf8').replace(/\r?\n$/, '');
}
