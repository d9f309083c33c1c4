// An error status as callers see it: the code, the machine-readable reason, and what comes with it. Decide by `reason`;
// where a proxy in between has answered there is none.

import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, RetryInfo } from '../../../generated/google/rpc/error_details.ts';
import { Status } from '../../../generated/google/rpc/status.ts';
import { Contention } from '../../../generated/leasehold/v1/error_details.ts';
import { msOf } from './time-spans.ts';

const CHANNEL_CLOSED = 'the channel is closed';
/** How the library begins to say so. */
const NOT_SENT = /^(No connection established|Name resolution failed)/;

/**
 * The statuses that pass where no ErrorInfo comes with them. Leasehold gives a reason with every error, so that such a
 * status is the word of a proxy, or how the gRPC library of this side calls what happened to the connection:
 *
 *   UNAVAILABLE        no connection; one that broke; HTTP 429, 502, 503 and 504; a stream that was refused
 *   CANCELLED          a stream that was reset with CANCEL: a server that was killed, in some libraries
 *   UNKNOWN            a connection that broke, in other libraries; another status of HTTP, such as 500
 *   DEADLINE_EXCEEDED  the time-out of a proxy (what this side limits by itself is repeated with more time)
 *   INTERNAL           a stream that was reset with another code, by the time-out of a route in a proxy for example
 *
 * docs/clients.md has the same list, and each client has it.
 */
export const PASSING_WITHOUT_REASON: readonly status[] = [
  status.UNAVAILABLE,
  status.CANCELLED,
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.INTERNAL,
];

export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: status;
  /** The reason of google.rpc.ErrorInfo, such as LOCK_CONTENDED; '' where there is none. */
  readonly reason: string;
  /** How many milliseconds the server asks to wait; undefined if it doesn't say. */
  readonly retryAfterMs: number | undefined;
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  readonly contention: Contention | undefined;
  readonly #isLocal: boolean;

  constructor(
    error: Pick<ServiceError, 'code' | 'details'> & { readonly metadata?: Metadata },
    { isLocal = false } = {},
  ) {
    super(error.details);
    this.code = error.code;
    this.#isLocal = isLocal;
    const details = detailsOf(error.metadata ?? new Metadata());
    const find = (type: string): Uint8Array | undefined =>
      details.find(({ typeUrl }) => typeUrl.endsWith(`/${type}`))?.value;
    const [info, retry, bad, contention] = [
      find('google.rpc.ErrorInfo'),
      find('google.rpc.RetryInfo'),
      find('google.rpc.BadRequest'),
      find('leasehold.v1.Contention'),
    ];
    this.reason = info ? ErrorInfo.decode(info).reason : '';
    this.retryAfterMs = retry && msOf(RetryInfo.decode(retry).retryDelay);
    this.violations = bad ? BadRequest.decode(bad).fieldViolations : [];
    this.contention = contention && Contention.decode(contention);
  }

  /** Whether the channel was closed here. */
  get isChannelClosed(): boolean {
    return this.#isLocal && this.message === CHANNEL_CLOSED;
  }

  /** Whether the library had no connection to send the call on: no server knows of it. */
  get wasNotSent(): boolean {
    return this.code === status.UNAVAILABLE && this.reason === '' && NOT_SENT.test(this.message);
  }

  /** Whether the same call may succeed a little later, or elsewhere: nothing is wrong with the request. */
  get isPassing(): boolean {
    if (this.code === status.UNAVAILABLE) return true;
    return PASSING_WITHOUT_REASON.includes(this.code) && !this.#isLocal && this.reason === '';
  }
}

/** Makes the error that calls end with when their channel is closed. */
export function channelClosed(): CallError {
  return localError(status.CANCELLED, CHANNEL_CLOSED);
}

/** Makes the error of a call that ends here, before any server says so. */
export function localError(code: status, details: string): CallError {
  return new CallError({ code, details }, { isLocal: true });
}

function detailsOf(metadata: Metadata): Status['details'] {
  const [bytes] = metadata.get('grpc-status-details-bin');
  if (!(bytes instanceof Buffer)) return [];
  try {
    return Status.decode(bytes).details;
  } catch {
    return []; // something in between wrote it and it is no status: the code has to do
  }
}
