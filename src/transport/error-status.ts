// An error as a gRPC status: the code from the table, and google.rpc details in the standard
// `grpc-status-details-bin` trailer. Only what a CoordinationError carries goes out. Everything else becomes INTERNAL,
// without a word about its cause.

import { status as grpcStatus } from '@grpc/grpc-js';
import type { Any } from '../../generated/google/protobuf/any.ts';
import { BadRequest, ErrorInfo, QuotaFailure, RetryInfo } from '../../generated/google/rpc/error_details.ts';
import { Status } from '../../generated/google/rpc/status.ts';
import { Contention, ContentionReason } from '../../generated/leasehold/v1/error_details.ts';
import { CoordinationError } from '../domain/errors.ts';
import type { Contention as DomainContention } from '../domain/lock.ts';
import { encodeDuration } from './durations.ts';
import { encodeHolder } from './encode-lock.ts';
import type { CallStatus } from './grpc/call-status.ts';
import { packedAny } from './payloads.ts';
import { STATUS_OF } from './status-table.ts';

export const ERROR_DOMAIN = 'leasehold';
/** Details travel in a trailer, which many peers limit to 8 KiB: few holders, and none of their metadata. */
const HOLDERS_IN_DETAILS = 4;
const VIOLATIONS_IN_DETAILS = 16;
const MESSAGE_CHARS = 1_024;
/** The default: an UNAVAILABLE always says when to try again, even if the error itself doesn't. */
const RETRY_UNAVAILABLE_MS = 500;
/**
 * Another instance may answer at once. *A client renews at a newcomer, which says that it answers in 17 s, and waits so
 * long before it asks the next instance: its lease is over.*
 */
const RETRY_ELSEWHERE_AT_MOST_MS = 1_000;

const REASONS: Readonly<Record<DomainContention['reason'], ContentionReason>> = {
  held: ContentionReason.CONTENTION_REASON_HELD,
  'min-hold': ContentionReason.CONTENTION_REASON_MIN_HOLD,
  ahead: ContentionReason.CONTENTION_REASON_QUEUED_AHEAD,
};

/** The status that a caller gets for what was thrown. */
export function errorStatus(thrown: unknown): CallStatus {
  const error =
    thrown instanceof CoordinationError
      ? thrown
      : new CoordinationError('INTERNAL', 'an internal error; the outcome is unknown', {}, thrown);
  const code = STATUS_OF[error.code];
  const message = error.message.slice(0, MESSAGE_CHARS);
  const details = Buffer.from(Status.encode({ code, message, details: detailsOf(error) }).finish());
  return { code, message, details };
}

function detailsOf({ code, message, details }: CoordinationError): Any[] {
  const { violations, contention, facts } = details;
  const unavailable = STATUS_OF[code] === grpcStatus.UNAVAILABLE;
  const askedMs = details.retryAfterMs ?? (unavailable ? RETRY_UNAVAILABLE_MS : undefined);
  const retryAfterMs =
    askedMs !== undefined && code === 'REDIS_UNAVAILABLE'
      ? Math.min(askedMs, RETRY_ELSEWHERE_AT_MOST_MS)
      : askedMs;
  const info = { reason: code, domain: ERROR_DOMAIN, metadata: new Map(Object.entries(facts ?? {})) };
  const list = [packedAny('google.rpc.ErrorInfo', ErrorInfo.encode(info).finish())];
  if (violations) {
    const fieldViolations = violations
      .slice(0, VIOLATIONS_IN_DETAILS)
      .map(({ field, description }) => ({ field, description, reason: '', localizedMessage: undefined }));
    list.push(packedAny('google.rpc.BadRequest', BadRequest.encode({ fieldViolations }).finish()));
  }
  if (retryAfterMs !== undefined) {
    const retry = { retryDelay: encodeDuration(retryAfterMs) };
    list.push(packedAny('google.rpc.RetryInfo', RetryInfo.encode(retry).finish()));
  }
  if (code === 'STORE_FULL' || code === 'QUEUE_FULL') {
    const quota = QuotaFailure.fromPartial({
      violations: [{ subject: code === 'STORE_FULL' ? 'store' : 'queue', description: message }],
    });
    list.push(packedAny('google.rpc.QuotaFailure', QuotaFailure.encode(quota).finish()));
  }
  if (contention)
    list.push(packedAny('leasehold.v1.Contention', Contention.encode(encodeContention(contention)).finish()));
  return list;
}

function encodeContention(contention: DomainContention): Contention {
  return {
    resource: contention.resource,
    holders: contention.holders
      .slice(0, HOLDERS_IN_DETAILS)
      .map((holder) => ({ ...encodeHolder(holder), metadata: new Map<string, string>() })),
    timeLeft: encodeDuration(contention.timeLeftMs),
    queueLength: contention.queueLength,
    reason: REASONS[contention.reason],
  };
}
