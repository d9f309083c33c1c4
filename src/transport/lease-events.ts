// What Hold and KeepAlive tell, as their messages, and which of them an unread stream may leave out: of `queued` and
// `renewed` only the newest counts, the grant and the ends are always sent.

import type { Lease as LeaseMessage } from '../../generated/leasehold/v1/lease.ts';
import {
  type AtRisk,
  AtRiskReason,
  type Draining,
  type Lost,
  LostReason,
  type Moved,
} from '../../generated/leasehold/v1/lease_events.ts';
import type { HoldResponse, KeepAliveResponse } from '../../generated/leasehold/v1/lock_service.ts';
import type { LossReason } from '../service/kept-leases.ts';
import type { LeaseEvent } from '../service/lease-streams.ts';
import type { RiskReason } from '../service/renewal-wheel.ts';
import type { AcquisitionRef } from '../store/lock-store.ts';
import { encodeDuration } from './durations.ts';
import { encodeLease } from './encode-lock.ts';
import type { Send } from './stream.ts';

export const RISKS: Readonly<Record<RiskReason, AtRiskReason>> = {
  'store-unavailable': AtRiskReason.AT_RISK_REASON_STORE_UNAVAILABLE,
  'primary-unconfirmed': AtRiskReason.AT_RISK_REASON_PRIMARY_UNCONFIRMED,
  'durability-unmet': AtRiskReason.AT_RISK_REASON_DURABILITY_UNMET,
  'max-hold': AtRiskReason.AT_RISK_REASON_MAX_HOLD,
};

const LOSSES: Readonly<Record<LossReason, LostReason>> = {
  expired: LostReason.LOST_REASON_EXPIRED,
  released: LostReason.LOST_REASON_RELEASED,
  'force-released': LostReason.LOST_REASON_FORCE_RELEASED,
  'max-hold': LostReason.LOST_REASON_MAX_HOLD,
  'unknown-lease': LostReason.LOST_REASON_UNKNOWN_LEASE,
};

type SharedEvent =
  | { readonly $case: 'renewed'; readonly value: LeaseMessage }
  | { readonly $case: 'atRisk'; readonly value: AtRisk }
  | { readonly $case: 'lost'; readonly value: Lost }
  | { readonly $case: 'moved'; readonly value: Moved }
  | { readonly $case: 'draining'; readonly value: Draining };

export function sendHold(send: Send<HoldResponse>, about: AcquisitionRef, event: LeaseEvent): void {
  const { resource, leaseId } = about;
  const message = (told: HoldResponse['event']): HoldResponse => ({ resource, leaseId, event: told });
  if (event.kind === 'queued') {
    send(message({ $case: 'queued', value: { position: event.position } }), 'queued');
  } else if (event.kind === 'granted') {
    send(message({ $case: 'granted', value: encodeLease(event.granted) }));
  } else {
    send(message(shared(event)), slotOf(about, event));
  }
}

export function sendKeepAlive(send: Send<KeepAliveResponse>, about: AcquisitionRef, event: LeaseEvent): void {
  if (event.kind === 'queued' || event.kind === 'granted') throw new Error(`KeepAlive: ${event.kind}`);
  const { resource, leaseId } = about;
  send({ resource, leaseId, event: shared(event) }, slotOf(about, event));
}

function slotOf({ resource, leaseId }: AcquisitionRef, { kind }: LeaseEvent): string | undefined {
  return kind === 'renewed' || kind === 'at-risk' ? `${kind} ${leaseId} ${resource}` : undefined;
}

function shared(event: Exclude<LeaseEvent, { kind: 'queued' }>): SharedEvent {
  switch (event.kind) {
    case 'granted':
    case 'renewed':
      return { $case: 'renewed', value: encodeLease(event.granted) };
    case 'at-risk':
      return { $case: 'atRisk', value: { reason: RISKS[event.reason] } };
    case 'lost':
      return { $case: 'lost', value: { reason: LOSSES[event.reason] } };
    case 'moved':
      return { $case: 'moved', value: {} };
    case 'draining':
      return { $case: 'draining', value: { moveWithin: encodeDuration(event.moveWithinMs) } };
  }
}
