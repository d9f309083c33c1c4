// The keepers of a channel: one for its leases, which share streams, and one for its attempts, each of which has a
// stream of its own.

import {
  KeepAliveOperationRequest,
  type KeepAliveOperationResponse,
} from '../../../generated/leasehold/v1/operation_store_service.ts';
import { LIMITS } from '../../domain/limits.ts';
import type { Channel } from './channel.ts';
import { Keeper } from './keeper.ts';
import type { Kept } from './kept.ts';
import { type LeaseMessage, type LeaseName, leaseKey } from './lease-call.ts';

/** How every write of its worker names an attempt. */
export interface AttemptName {
  readonly resource: string;
  readonly operationId: string;
  readonly claimId: string;
  readonly fencingToken: bigint;
}

export type KeptLease = Kept<LeaseMessage> & LeaseName;
export type KeptAttempt = Kept<KeepAliveOperationResponse> & { readonly name: AttemptName };

export interface Keepers {
  readonly leases: Keeper<KeptLease, LeaseMessage>;
  readonly attempts: Keeper<KeptAttempt, KeepAliveOperationResponse>;
}

const GATHER_MS = 50;
const KEEPERS = new WeakMap<Channel, Keepers>();

export function keepersOf(channel: Channel): Keepers {
  const known = KEEPERS.get(channel);
  if (known) return known;
  const keepers: Keepers = {
    leases: new Keeper<KeptLease, LeaseMessage>({
      channel,
      most: LIMITS.keepAliveLeases,
      gatherMs: GATHER_MS,
      open: (things, renewFor) => {
        const leases = things.map(({ resource, leaseId, fencingToken }) => {
          return { resource, leaseId, fencingToken, ttl: undefined };
        });
        return ({ locks }, metadata) => locks.keepAlive({ leases, renewFor }, metadata);
      },
      keyOf: leaseKey,
    }),
    attempts: new Keeper<KeptAttempt, KeepAliveOperationResponse>({
      channel,
      most: 1,
      gatherMs: 0,
      open: ([attempt], renewFor) => {
        const request = KeepAliveOperationRequest.fromPartial({ ...attempt?.name, renewFor });
        return ({ operations }, metadata) => operations.keepAliveOperation(request, metadata);
      },
    }),
  };
  KEEPERS.set(channel, keepers);
  return keepers;
}
