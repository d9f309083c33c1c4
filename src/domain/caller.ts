// Who calls: the names and roles that the operator gave out, and how a secret token is looked up without being kept.

import { createHash } from 'node:crypto';

/** An admin can do everything that a client can, and can revoke the leases of others. */
export type Role = 'client' | 'admin';

export interface Caller {
  readonly name: string;
  readonly role: Role;
}

/** The callers by the digests of their tokens. One caller may have several tokens. */
export type Credentials = ReadonlyMap<string, Caller>;

/**
 * Stands for a token from its arrival on. The time of a look-up may tell how far a guess agrees with a digest, but a
 * digest says nothing about the token.
 */
export function tokenDigest(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
