// The events of Hold and KeepAlive as their messages, and which of them an unread stream may leave out: of `queued`,
// `renewed` and `at_risk` only the newest counts; the grant and the ends are always sent.

import {
  type AtRisk,
  AtRiskReason,
  type Draining,
  type Lost,
  LostReason,
  type Moved,
} from '../../generated/leasehold/v1/lease_events.ts';
import type { HoldResponse, KeepAliveResponse } from '../../generated/leasehold/v1/lock_service.ts';
import type { LeaseLoss } from '../domain/losses.ts';
import type { LeaseEvent } from '../service/lease-streams.ts';
import type { RiskReason } from '../service/renewal-risks.ts';
import type { AcquisitionRef } from '../store/lock-store.ts';
import { encodeDuration } from './durations.ts';
import { encodeLease } from './encode-lock.ts';
import { encodeRenewal } from './renewal-message.ts';
import type { Send } from './stream.ts';

export const RISKS: Readonly<Record<RiskReason, AtRiskReason>> = {
  'store-unavailable': AtRiskReason.AT_RISK_REASON_STORE_UNAVAILABLE,
  'primary-unconfirmed': AtRiskReason.AT_RISK_REASON_PRIMARY_UNCONFIRMED,
  'durability-unmet': AtRiskReason.AT_RISK_REASON_DURABILITY_UNMET,
  'max-hold': AtRiskReason.AT_RISK_REASON_MAX_HOLD,
  'renew-for': AtRiskReason.AT_RISK_REASON_RENEW_FOR,
};

const LOSSES: Readonly<Record<LeaseLoss, LostReason>> = {
  expired: LostReason.LOST_REASON_EXPIRED,
  released: LostReason.LOST_REASON_RELEASED,
  revoked: LostReason.LOST_REASON_FORCE_RELEASED,
  'max-hold': LostReason.LOST_REASON_MAX_HOLD,
  'unknown-lease': LostReason.LOST_REASON_UNKNOWN_LEASE,
};

type SharedEvent =
  | { readonly $case: 'atRisk'; readonly value: AtRisk }
  | { readonly $case: 'lost'; readonly value: Lost }
  | { readonly $case: 'moved'; readonly value: Moved }
  | { readonly $case: 'draining'; readonly value: Draining };

export function sendHold(send: Send<HoldResponse>, about: AcquisitionRef, event: LeaseEvent): void {
  const { resource, leaseId } = about;
  if (event.kind === 'queued') {
    const told = { $case: 'queued', value: { position: event.position } } as const;
    send({ resource, leaseId, event: told }, 'queued');
  } else if (event.kind === 'granted') {
    send({ resource, leaseId, event: { $case: 'granted', value: encodeLease(event.granted) } });
  } else if (event.kind === 'renewed') {
    send(encodeRenewal('Hold', event.granted), 'renewed');
  } else {
    send({ resource, leaseId, event: shared(event) }, event.kind === 'at-risk' ? 'at-risk' : undefined);
  }
}

export function sendKeepAlive(send: Send<KeepAliveResponse>, about: AcquisitionRef, event: LeaseEvent): void {
  if (event.kind === 'queued' || event.kind === 'granted') throw new Error(`KeepAlive: ${event.kind}`);
  const { resource, leaseId } = about;
  // One stream tells of several leases.
  if (event.kind === 'renewed') {
    send(encodeRenewal('KeepAlive', event.granted), `renewed ${leaseId} ${resource}`);
  } else {
    const slot = event.kind === 'at-risk' ? `at-risk ${leaseId} ${resource}` : undefined;
    send({ resource, leaseId, event: shared(event) }, slot);
  }
}

function shared(event: Exclude<LeaseEvent, { kind: 'queued' | 'granted' | 'renewed' }>): SharedEvent {
  switch (event.kind) {
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
