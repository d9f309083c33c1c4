// The file of `auth.tokens_file`: one credential a line, `name role token`. Owns its form and the complaints about
// mistakes in it. A complaint names the line and never shows its text: a token may stand anywhere by mistake.

import { readFileSync } from 'node:fs';
import { type Caller, type Credentials, type Role, tokenDigest } from '../domain/caller.ts';
import { fileTrouble } from './config-error.ts';

export type TokensFile =
  | { readonly kind: 'read'; readonly credentials: Credentials }
  /** At least one. A problem of one line begins with the path and the number of the line. */
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

const MAX_LINES = 1_000;
const MAX_BYTES = 1_048_576;
const NAME = /^[A-Za-z0-9._@/-]{1,64}$/;
const TOKEN = /^[\x21-\x7e]{16,512}$/;
const ROLES: readonly string[] = ['client', 'admin'] satisfies readonly Role[];

export function readTokensFile(path: string): TokensFile {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    // Without the path: where a user wrote the token itself in its place, it would be printed.
    return refused(`cannot read the file: ${fileTrouble(error)}`);
  }
  if (bytes.length > MAX_BYTES) return refused(`${path}: is larger than ${MAX_BYTES} bytes`);
  const lines = bytes.toString('utf8').replace(/\n$/, '').split('\n');
  if (lines.length > MAX_LINES) return refused(`${path}: has more than ${MAX_LINES} lines`);
  const credentials = new Map<string, Caller>();
  const lineOf = new Map<string, number>();
  const problems: string[] = [];
  for (const [index, text] of lines.entries()) {
    const line = index + 1;
    const words = text.trim().split(/\s+/);
    if (words[0] === '' || words[0]?.startsWith('#')) continue;
    const read = readCredential(words);
    if ('complaint' in read) {
      problems.push(`${path}:${line}: ${read.complaint}`);
      continue;
    }
    const first = lineOf.get(read.digest);
    if (first !== undefined) problems.push(`${path}:${line}: the same token as on line ${first}`);
    lineOf.set(read.digest, line);
    credentials.set(read.digest, read.caller);
  }
  // A failed copy or mount looks like this, and nobody could call.
  if (problems.length === 0 && credentials.size === 0)
    return refused(`${path}: has no credential; expected name role token on each line`);
  return problems.length > 0 ? { kind: 'refused', problems } : { kind: 'read', credentials };
}

function readCredential(
  words: readonly string[],
): { readonly caller: Caller; readonly digest: string } | { readonly complaint: string } {
  const [name = '', role = '', token = ''] = words;
  if (words.length !== 3) {
    return { complaint: `expected three words, name role token, got ${words.length}` };
  }
  if (!NAME.test(name)) return { complaint: 'expected a name of 1 to 64 characters from A-Za-z0-9._@/-' };
  if (!isRole(role)) return { complaint: 'expected the role client or admin as the second word' };
  if (!TOKEN.test(token)) return { complaint: 'expected a token of 16 to 512 printable ASCII characters' };
  return { caller: { name, role }, digest: tokenDigest(token) };
}

function isRole(word: string): word is Role {
  return ROLES.includes(word);
}

function refused(problem: string): TokensFile {
  return { kind: 'refused', problems: [problem] };
}
