// The events of KeepAliveOperation as its messages, and which of them an unread stream may leave out: of `renewed` and
// `at_risk` only the newest counts; a request to cancel and the ends are always sent.

import {
  AttemptLostReason,
  type KeepAliveOperationResponse,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import type { AttemptLoss } from '../domain/losses.ts';
import type { OperationKey } from '../domain/operation.ts';
import type { AttemptEvent } from '../service/attempt-streams.ts';
import { encodeDuration } from './durations.ts';
import { encodeAttempt } from './encode-operation.ts';
import { RISKS } from './lease-events.ts';
import type { Send } from './stream.ts';

const LOSSES: Readonly<Record<AttemptLoss, AttemptLostReason>> = {
  expired: AttemptLostReason.ATTEMPT_LOST_REASON_EXPIRED,
  superseded: AttemptLostReason.ATTEMPT_LOST_REASON_SUPERSEDED,
  yielded: AttemptLostReason.ATTEMPT_LOST_REASON_YIELDED,
  finished: AttemptLostReason.ATTEMPT_LOST_REASON_FINISHED,
  'lease-lost': AttemptLostReason.ATTEMPT_LOST_REASON_LEASE_LOST,
  'unknown-attempt': AttemptLostReason.ATTEMPT_LOST_REASON_UNKNOWN_ATTEMPT,
};

export function sendKeepAliveOperation(
  send: Send<KeepAliveOperationResponse>,
  { resource, operationId }: OperationKey,
  event: AttemptEvent,
): void {
  const slot = event.kind === 'renewed' || event.kind === 'at-risk' ? event.kind : undefined;
  send({ resource, operationId, event: encodeEvent(event) }, slot);
}

function encodeEvent(event: AttemptEvent): KeepAliveOperationResponse['event'] {
  switch (event.kind) {
    case 'renewed':
      return { $case: 'renewed', value: encodeAttempt(event.running) };
    case 'at-risk':
      return { $case: 'atRisk', value: { reason: RISKS[event.reason] } };
    case 'cancel-requested':
      return { $case: 'cancelRequested', value: { reason: event.reason } };
    case 'lost':
      return { $case: 'lost', value: { reason: LOSSES[event.reason] } };
    case 'moved':
      return { $case: 'moved', value: {} };
    case 'draining':
      return { $case: 'draining', value: { moveWithin: encodeDuration(event.moveWithinMs) } };
  }
}
