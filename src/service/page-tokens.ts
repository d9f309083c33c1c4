// Page tokens: where the next page of a listing begins, signed, so that a token is good for its own listing and
// filters alone and on every instance of the deployment. They hold no state and don't expire. Callers can't make one,
// but can read it: nothing secret is in it.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { CoordinationError } from '../domain/errors.ts';

/** A listing, and what it is filtered by; not the page size, which may change from page to page. */
export interface Listing {
  readonly kind: string;
  readonly filters: readonly (string | readonly string[])[];
}

const FIELD = 'page_token';
const EXPECTED = 'must be the next_page_token of the page before, with the same filters';
const SIGNATURE_BYTES = 16;

export class PageTokens {
  readonly #secret: () => string | undefined;

  /** `secret` is the deployment's; undefined while it isn't known. */
  constructor(secret: () => string | undefined) {
    this.#secret = secret;
  }

  /** The token of the page that begins at `position`. */
  seal(listing: Listing, position: string): string {
    return Buffer.concat([this.#signature(listing, position), Buffer.from(position)]).toString('base64url');
  }

  /**
   * The position of a token. Throws INVALID_ARGUMENT for one that was not sealed so, REDIS_UNAVAILABLE before
   * the first use.
   */
  open(listing: Listing, token: string): string {
    const bytes = Buffer.from(token, 'base64url');
    const position = bytes.subarray(SIGNATURE_BYTES).toString();
    const signature = bytes.subarray(0, SIGNATURE_BYTES);
    const expected = this.#signature(listing, position);
    // The decoder skips what isn't base64, so that many texts would be one token.
    const isWhole = bytes.toString('base64url') === token && signature.length === SIGNATURE_BYTES;
    if (!isWhole || !timingSafeEqual(signature, expected)) {
      throw new CoordinationError('INVALID_ARGUMENT', `${FIELD}: ${EXPECTED}`, {
        violations: [{ field: FIELD, description: EXPECTED }],
      });
    }
    return position;
  }

  #signature({ kind, filters }: Listing, position: string): Buffer {
    const secret = this.#secret();
    if (secret === undefined) {
      throw new CoordinationError('REDIS_UNAVAILABLE', 'the store was not reached yet; nothing was changed');
    }
    const signed = JSON.stringify([kind, filters, position]);
    return createHmac('sha256', secret).update(signed).digest().subarray(0, SIGNATURE_BYTES);
  }
}
