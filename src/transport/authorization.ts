// Who may call what: the one place that looks at a call's credentials, before anything else of the call. Owns the
// rules; the credentials come from config/tokens-file.ts.

import { type Caller, type Credentials, tokenDigest } from '../domain/caller.ts';
import { CoordinationError } from '../domain/errors.ts';
import type { CallMetadata } from './grpc/call-metadata.ts';

/** A refused ForceRelease: its caller is not known to be an administrator. */
export interface Denial {
  /** undefined: the call had no token, or an unknown one. */
  readonly caller: Caller | undefined;
  readonly peer: string;
  readonly code: 'UNAUTHENTICATED' | 'PERMISSION_DENIED';
}

export interface AuthorizationOptions {
  /** undefined: callers need no credentials. */
  readonly credentials: Credentials | undefined;
  /** Where callers need no credentials: every caller is an administrator. */
  readonly anonymousAdmin: boolean;
  readonly onDenied: (denial: Denial) => void;
}

/** The part of a call that says who makes it. */
export interface CallOrigin {
  readonly metadata: CallMetadata;
  readonly peer: string;
}

/** For administrators only; a call by anybody else goes on record. */
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

  /** From now on these credentials count for calls that begin. Open streams go on. */
  replace(credentials: Credentials): void {
    this.#credentials = credentials;
  }

  /** Returns who calls. Throws UNAUTHENTICATED and PERMISSION_DENIED. */
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
    this.#onDenied({ caller, peer: call.peer, code });
  }
}

function identify(credentials: Credentials, metadata: CallMetadata): Caller | CoordinationError {
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
