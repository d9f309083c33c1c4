// Page tokens: where the next page of a listing begins, with a digest of that position, the listing and its filters.
// The digest lets every instance accept a token, and refuse one of another listing, of other filters, or cut on its
// way. A token holds no state and doesn't expire. It proves nothing about its caller, and anybody can make one up. So a
// position must lie within the listing's prefix: behind it, a store shows what comes next.

import { createHash } from 'node:crypto';
import { CoordinationError } from '../domain/errors.ts';

/** A listing and its filters; not the page size, which may change from page to page. */
export interface Listing {
  readonly kind: string;
  /** What all names in it begin with, and so all positions. */
  readonly prefix: string;
  readonly filters: readonly (string | readonly string[])[];
}

const FIELD = 'page_token';
const EXPECTED = 'must be the next_page_token of the previous page, with the same filters';
const DIGEST_BYTES = 16;

/** The token of the page that begins behind `position`. */
export function pageTokenFor(listing: Listing, position: string): string {
  return Buffer.concat([digest(listing, position), Buffer.from(position)]).toString('base64url');
}

/** The position in a token. Throws INVALID_ARGUMENT for a token of another listing or of other filters. */
export function positionIn(listing: Listing, token: string): string {
  const bytes = Buffer.from(token, 'base64url');
  const position = bytes.subarray(DIGEST_BYTES).toString();
  // Encoded again, since the decoder skips what isn't base64url: otherwise many texts would be one token.
  if (
    bytes.toString('base64url') !== token ||
    !position.startsWith(listing.prefix) ||
    !digest(listing, position).equals(bytes.subarray(0, DIGEST_BYTES))
  ) {
    throw new CoordinationError('INVALID_ARGUMENT', `${FIELD}: ${EXPECTED}`, {
      violations: [{ field: FIELD, description: EXPECTED }],
    });
  }
  return position;
}

function digest({ kind, prefix, filters }: Listing, position: string): Buffer {
  const text = JSON.stringify([kind, prefix, filters, position]);
  return createHash('sha256').update(text).digest().subarray(0, DIGEST_BYTES);
}
