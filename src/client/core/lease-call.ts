// The two kinds of streams of a lease: Hold acquires it, and KeepAlive keeps it. Both send the same events, so that a
// stream of either kind can keep a lease.

import type {
  HoldRequest,
  HoldResponse,
  KeepAliveResponse,
} from '../../../generated/leasehold/v1/lock_service.ts';
import type { OpenStream, StreamCall } from './stream-call.ts';

export type LeaseMessage = HoldResponse | KeepAliveResponse;
export type LeaseCall = StreamCall<LeaseMessage>;

/** How KeepAlive names a lease that exists. */
export interface LeaseName {
  readonly resource: string;
  readonly leaseId: string;
  readonly fencingToken: bigint;
}

export function holdStream(request: HoldRequest): OpenStream<LeaseMessage> {
  return ({ locks }, metadata) => locks.hold(request, metadata);
}

/** The same for all that servers take for the same lease. */
export function leaseKey({ resource, leaseId }: Omit<LeaseName, 'fencingToken'>): string {
  return `${leaseId.toLowerCase()} ${resource}`;
}
