// The one table from the domain's error codes to gRPC statuses. It is total: a new code breaks the build
// until it is here, and a test until docs/errors.md explains it.

import { status } from '@grpc/grpc-js';
import type { ErrorCode } from '../domain/errors.ts';

export const STATUS_OF: Readonly<Record<ErrorCode, status>> = {
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  LOCK_CONTENDED: status.ABORTED,
  LEASE_LOST: status.ABORTED,
  MOVED: status.ABORTED,
  LEASE_ID_REUSED: status.FAILED_PRECONDITION,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  QUARANTINE: status.UNAVAILABLE,
  REDIS_UNAVAILABLE: status.UNAVAILABLE,
  PRIMARY_UNCONFIRMED: status.UNAVAILABLE,
  OUTCOME_UNKNOWN: status.UNAVAILABLE,
  DURABILITY_UNMET: status.UNAVAILABLE,
  DEPLOYMENT_MISMATCH: status.UNAVAILABLE,
  OVERLOADED: status.UNAVAILABLE,
  DRAINING: status.UNAVAILABLE,
  STORE_FULL: status.RESOURCE_EXHAUSTED,
  QUEUE_FULL: status.RESOURCE_EXHAUSTED,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  CANCELLED: status.CANCELLED,
  NOT_IMPLEMENTED: status.UNIMPLEMENTED,
  INTERNAL: status.INTERNAL,
};
