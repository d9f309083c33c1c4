// Hold and KeepAlive of the tests' client. event-stream.ts reads their events.

import { randomUUID } from 'node:crypto';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import type {
  HoldRequest,
  HoldResponse,
  KeepAliveResponse,
} from '../../generated/leasehold/v1/lock_service.ts';
import { EventStream } from './event-stream.ts';
import type { TestClient } from './test-instance.ts';

type SpecFields = Parameters<typeof LeaseSpec.fromPartial>[0];

export function hold(
  client: TestClient,
  spec: SpecFields,
  wait?: HoldRequest['wait'],
  renewFor?: HoldRequest['renewFor'],
): EventStream<HoldResponse> {
  const full = LeaseSpec.fromPartial({ leaseId: randomUUID(), ...spec });
  return new EventStream(client.stub.hold({ spec: full, wait, renewFor }, client.metadata()));
}

export interface HeldLease {
  readonly resource: string;
  readonly leaseId: string;
  readonly fencingToken: bigint;
}

export function keepAlive(
  client: TestClient,
  leases: readonly HeldLease[],
  renewFor?: HoldRequest['renewFor'],
): EventStream<KeepAliveResponse> {
  const refs = leases.map(({ resource, leaseId, fencingToken }) => ({
    resource,
    leaseId,
    fencingToken,
    ttl: undefined,
  }));
  return new EventStream(client.stub.keepAlive({ leases: refs, renewFor }, client.metadata()));
}

/** `valid_for` in milliseconds. */
export function validForMs(lease: { validFor: { seconds: bigint; nanos: number } | undefined }): number {
  return Number(lease.validFor?.seconds ?? 0n) * 1_000 + (lease.validFor?.nanos ?? 0) / 1e6;
}
