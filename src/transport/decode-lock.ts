// Requests about locks, as domain values. Checks every field, by the domain's rules, before anything else sees it. What
// this server does not serve, it refuses by name and does not ignore.

import type { Durability, LeaseSpec as LeaseSpecMessage } from '../../generated/leasehold/v1/lease.ts';
import type {
  AcquireManyRequest,
  AcquireRequest,
  CheckFencingTokenRequest,
  ForceReleaseRequest,
  GetLockRequest,
  HoldRequest,
  KeepAliveRequest,
  ReleaseRequest,
  RenewRequest,
} from '../../generated/leasehold/v1/lock_service.ts';
import { LIMITS } from '../domain/limits.ts';
import type { LeaseSpec, Mode } from '../domain/lock.ts';
import type { HoldCommand, KeepAliveCommand } from '../service/lease-streams.ts';
import type { AcquisitionRef, ForceReleaseCommand, RenewCommand } from '../store/lock-store.ts';
import { decodeDuration } from './durations.ts';
import { Violations } from './violations.ts';

/** What the operator configured about leases. */
export interface LeaseBounds {
  readonly maxTtlMs: number;
  readonly defaultTtlMs: number;
  /** What `replicated` without a number means; undefined: the store has no replicas. */
  readonly replicatedMinAcks: number | undefined;
}

export interface AcquireInput {
  readonly spec: LeaseSpec;
  /** 0: try once. */
  readonly waitMs: number;
}

export function decodeAcquire(request: AcquireRequest, bounds: LeaseBounds): AcquireInput {
  return decodeAcquisition(request, bounds, LIMITS.unaryWaitMs, new Violations());
}

/** `waitMs` is Infinity for a caller that waits for as long as its stream lives. */
export function decodeHold(request: HoldRequest, bounds: LeaseBounds): HoldCommand {
  const violations = new Violations();
  const renewForMs = violations.renewFor('renew_for', decodeDuration(request.renewFor));
  const input = decodeAcquisition(request, bounds, LIMITS.streamWaitMs, violations);
  const waitMs = request.wait?.$case === 'waitForever' ? Number.POSITIVE_INFINITY : input.waitMs;
  return { ...input, waitMs, renewForMs };
}

/** Refuses with `violations`, which may hold some already. */
function decodeAcquisition(
  request: AcquireRequest | HoldRequest,
  bounds: LeaseBounds,
  longestWaitMs: number,
  violations: Violations,
): AcquireInput {
  const { spec } = request;
  if (!spec) {
    violations.note('spec', 'is required');
    violations.refuse();
    throw new Error('unreachable: a violation was noted');
  }
  const decoded = decodeSpec(violations, 'spec', spec, bounds);
  const waitMs = decodeWait(violations, request.wait, longestWaitMs);
  violations.refuse();
  return { spec: decoded, waitMs };
}

function decodeWait(violations: Violations, wait: AcquireRequest['wait'], mostMs: number): number {
  switch (wait?.$case) {
    case undefined:
      return 0;
    case 'waitTimeout':
      return violations.duration('wait_timeout', decodeDuration(wait.value), 0, mostMs, 0);
    case 'waitForever':
      if (!wait.value) violations.note('wait_forever', 'must be true; to try once, leave it out');
      return mostMs;
  }
}

/** The specs in the order of the request, and one wait for all of them. */
export function decodeAcquireMany(
  request: AcquireManyRequest,
  bounds: LeaseBounds,
): { readonly specs: readonly LeaseSpec[]; readonly waitMs: number } {
  const violations = new Violations();
  const { specs } = request;
  if (specs.length === 0 || specs.length > LIMITS.acquireMany) {
    violations.note('specs', `must have 1 to ${LIMITS.acquireMany} entries, has ${specs.length}`);
    violations.refuse();
  }
  const seen = new Set<string>();
  const decoded = specs.map((spec, index) => {
    const field = `specs[${index}]`;
    if (seen.has(spec.resource)) violations.note(`${field}.resource`, 'is named twice');
    seen.add(spec.resource);
    return decodeSpec(violations, field, spec, bounds);
  });
  const waitMs = decodeWait(violations, request.wait, LIMITS.unaryWaitMs);
  violations.refuse();
  return { specs: decoded, waitMs };
}

export function decodeCheckFencingToken(request: CheckFencingTokenRequest): {
  readonly resource: string;
  readonly fencingToken: bigint;
} {
  const violations = new Violations();
  const checked = {
    resource: violations.resource('resource', request.resource),
    fencingToken: violations.fencingToken('fencing_token', request.fencingToken),
  };
  violations.refuse();
  return checked;
}

export function decodeForceRelease(
  request: ForceReleaseRequest,
): ForceReleaseCommand & { readonly reason: string } {
  const violations = new Violations();
  const { fencingToken, immediate } = request;
  const command = {
    resource: violations.resource('resource', request.resource),
    // A 0 in the request is a mistake, and must not mean "all".
    fencingToken:
      fencingToken === undefined ? undefined : violations.fencingToken('fencing_token', fencingToken),
    immediate,
    reason: violations.reason('reason', request.reason),
  };
  violations.refuse();
  return command;
}

export function decodeRenew(request: RenewRequest, { maxTtlMs }: LeaseBounds): RenewCommand {
  const violations = new Violations();
  const command = {
    resource: violations.resource('resource', request.resource),
    leaseId: violations.uuid('lease_id', request.leaseId),
    fencingToken: violations.fencingToken('fencing_token', request.fencingToken),
    ttlMs: violations.duration('ttl', decodeDuration(request.ttl), LIMITS.minTtlMs, maxTtlMs, 0),
  };
  violations.refuse();
  return command;
}

export function decodeKeepAlive(request: KeepAliveRequest, { maxTtlMs }: LeaseBounds): KeepAliveCommand {
  const violations = new Violations();
  const { leases } = request;
  const renewForMs = violations.renewFor('renew_for', decodeDuration(request.renewFor));
  if (leases.length === 0 || leases.length > LIMITS.keepAliveLeases) {
    violations.note('leases', `must have 1 to ${LIMITS.keepAliveLeases} entries, has ${leases.length}`);
    violations.refuse();
  }
  const seen = new Set<string>();
  const commands = leases.map((lease, index) => {
    const field = `leases[${index}]`;
    const leaseId = violations.uuid(`${field}.lease_id`, lease.leaseId);
    const name = `${leaseId} ${lease.resource}`;
    if (seen.has(name)) violations.note(field, 'is named twice');
    seen.add(name);
    const ttl = decodeDuration(lease.ttl);
    return {
      resource: violations.resource(`${field}.resource`, lease.resource),
      leaseId,
      fencingToken: violations.fencingToken(`${field}.fencing_token`, lease.fencingToken),
      ttlMs: violations.duration(`${field}.ttl`, ttl, LIMITS.minTtlMs, maxTtlMs, 0),
    };
  });
  violations.refuse();
  return { leases: commands, renewForMs };
}

export function decodeRelease(request: ReleaseRequest): AcquisitionRef {
  const violations = new Violations();
  const command = {
    resource: violations.resource('resource', request.resource),
    leaseId: violations.uuid('lease_id', request.leaseId),
  };
  violations.refuse();
  return command;
}

export function decodeGetLock(request: GetLockRequest): string {
  const violations = new Violations();
  const resource = violations.resource('resource', request.resource);
  violations.refuse();
  return resource;
}

function decodeSpec(
  violations: Violations,
  field: string,
  spec: LeaseSpecMessage,
  bounds: LeaseBounds,
): LeaseSpec {
  return {
    resource: violations.resource(`${field}.resource`, spec.resource),
    leaseId: violations.uuid(`${field}.lease_id`, spec.leaseId),
    ...decodeTerms(violations, field, spec, bounds),
  };
}

/** Everything in a spec but the names of the resource and the lease. */
export function decodeTerms(
  violations: Violations,
  field: string,
  spec: LeaseSpecMessage,
  bounds: LeaseBounds,
): Omit<LeaseSpec, 'resource' | 'leaseId'> {
  const { minTtlMs } = LIMITS;
  const { maxTtlMs, defaultTtlMs } = bounds;
  const ttl = decodeDuration(spec.ttl);
  const minHold = decodeDuration(spec.minHold);
  const maxHold = decodeDuration(spec.maxHold);
  return {
    owner: violations.owner(`${field}.owner`, spec.owner),
    mode: violations.mode(`${field}.permits`, decodeMode(spec.mode)),
    metadata: violations.metadata(`${field}.metadata`, spec.metadata),
    ttlMs: violations.duration(`${field}.ttl`, ttl, minTtlMs, maxTtlMs, defaultTtlMs),
    minHoldMs: violations.duration(`${field}.min_hold`, minHold, 0, LIMITS.minHoldMs, 0),
    maxHoldMs: violations.duration(`${field}.max_hold`, maxHold, minTtlMs, LIMITS.maxHoldMs, 0),
    minAcks: decodeMinAcks(violations, `${field}.durability`, spec.durability, bounds),
  };
}

function decodeMode(mode: LeaseSpecMessage['mode']): Mode {
  switch (mode?.$case) {
    case undefined:
    case 'exclusive':
      return { kind: 'exclusive' };
    case 'shared':
      return { kind: 'shared' };
    case 'permits':
      return { kind: 'permits', permits: mode.value.permits, limit: mode.value.limit };
  }
}

/** How many replicas must have a grant; 0: the server's minimum. */
function decodeMinAcks(
  violations: Violations,
  field: string,
  durability: Durability | undefined,
  { replicatedMinAcks }: LeaseBounds,
): number {
  if (durability?.level?.$case !== 'replicated') return 0;
  const { minAcks } = durability.level.value;
  if (minAcks < 0 || minAcks > LIMITS.minAcks) {
    violations.note(`${field}.replicated.min_acks`, `must be from 0 to ${LIMITS.minAcks}, is ${minAcks}`);
  } else if (replicatedMinAcks === undefined) {
    violations.note(field, 'must be asynchronous: this server keeps its state in its own memory');
  }
  return minAcks || (replicatedMinAcks ?? 0);
}
