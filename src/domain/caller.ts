// Who calls: the names and roles that the operator gave out, and how a secret token is looked up without being kept.

import { createHash } from 'node:crypto';

/** An admin may do all that a client may, and revoke the leases of others. */
export type Role = 'client' | 'admin';

export interface Caller {
  readonly name: string;
  readonly role: Role;
}

/** The callers by the digests of their tokens; several tokens may be one caller's. */
export type Credentials = ReadonlyMap<string, Caller>;

/**
 * What stands for a token from its arrival on. How far a guess agrees with a digest, which the time of a look-up may
 * tell, says nothing about the token.
 */
export function tokenDigest(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
