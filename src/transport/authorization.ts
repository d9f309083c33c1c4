// Who may call what: the one place in which a call's credentials are looked at, before anything else of it. Owns the
// rules; where the credentials come from is config/tokens-file.ts.

import type { Metadata } from '@grpc/grpc-js';
import { type Caller, type Credentials, tokenDigest } from '../domain/caller.ts';
import { CoordinationError } from '../domain/errors.ts';

/** A forced release by somebody who is no administrator. */
export interface Denial {
  /** undefined: it didn't say, or nobody knows the token. */
  readonly caller: Caller | undefined;
  readonly peer: string;
  readonly code: 'UNAUTHENTICATED' | 'PERMISSION_DENIED';
}

export interface AuthorizationOptions {
  /** undefined: nobody needs credentials. */
  readonly credentials: Credentials | undefined;
  /** Without credentials: everybody is an administrator. */
  readonly anonymousAdmin: boolean;
  readonly onDenied: (denial: Denial) => void;
}

/** The part of a call that says who makes it. */
export interface CallOrigin {
  readonly metadata: Metadata;
  getPeer(): string;
}

/** For administrators, and on record whoever asks. */
const FORCE_RELEASE = 'ForceRelease';
const BEARER = /^Bearer +([\x21-\x7e]+)$/i;

export class Authorization {
  readonly #anonymous: Caller;
  readonly #onDenied: (denial: Denial) => void;
  #credentials: Credentials | undefined;

  constructor({ credentials, anonymousAdmin, onDenied }: AuthorizationOptions) {
    this.#anonymous = { name: 'anonymous', role: anonymousAdmin ? 'admin' : 'client' };
    this.#credentials = credentials;
    this.#onDenied = onDenied;
  }

  /** From now on these count, for calls that begin: streams that are open go on. */
  replace(credentials: Credentials): void {
    this.#credentials = credentials;
  }

  /** Says who calls. Throws UNAUTHENTICATED and PERMISSION_DENIED. */
  admit(method: string, call: CallOrigin): Caller {
    const caller = this.#credentials ? identify(this.#credentials, call.metadata) : this.#anonymous;
    const isForAdmins = method === FORCE_RELEASE;
    if (caller instanceof CoordinationError) {
      if (isForAdmins) this.#deny(call, undefined, 'UNAUTHENTICATED');
      throw caller;
    }
    if (isForAdmins && caller.role !== 'admin') {
      this.#deny(call, caller, 'PERMISSION_DENIED');
      throw new CoordinationError('PERMISSION_DENIED', `${method} is for administrators`);
    }
    return caller;
  }

  #deny(call: CallOrigin, caller: Caller | undefined, code: Denial['code']): void {
    this.#onDenied({ caller, peer: call.getPeer(), code });
  }
}

function identify(credentials: Credentials, metadata: Metadata): Caller | CoordinationError {
  const [sent] = metadata.get('authorization');
  if (sent === undefined)
    return unauthenticated('credentials are required: send the metadata "authorization: Bearer <token>"');
  const [, token] = (typeof sent === 'string' && BEARER.exec(sent)) || [];
  if (token === undefined) return unauthenticated('the metadata "authorization" must be "Bearer <token>"');
  return credentials.get(tokenDigest(token)) ?? unauthenticated('no caller has this token');
}

function unauthenticated(message: string): CoordinationError {
  return new CoordinationError('UNAUTHENTICATED', message);
}
