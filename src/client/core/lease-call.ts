// The streams of a lease: Hold, which takes it, and KeepAlive, which keeps it. They say the same words, so a stream of
// either kind can keep it.

import type {
  HoldRequest,
  HoldResponse,
  KeepAliveResponse,
} from '../../../generated/leasehold/v1/lock_service.ts';
import type { OpenStream, StreamCall } from './stream-call.ts';

export type LeaseMessage = HoldResponse | KeepAliveResponse;
export type LeaseCall = StreamCall<LeaseMessage>;

/** A lease that exists, as KeepAlive names it. */
export interface LeaseName {
  readonly resource: string;
  readonly leaseId: string;
  readonly fencingToken: bigint;
}

export function holdStream(request: HoldRequest): OpenStream<LeaseMessage> {
  return ({ locks }, metadata) => locks.hold(request, metadata);
}

export function keepAliveStream(lease: LeaseName): OpenStream<LeaseMessage> {
  return ({ locks }, metadata) => locks.keepAlive({ leases: [{ ...lease, ttl: undefined }] }, metadata);
}
