// Requests as domain values: every field is checked here, by the domain's rules, before anything else sees
// it. What this server does not serve is refused by name and not ignored.

import type { Durability, LeaseSpec as LeaseSpecMessage } from '../../generated/leasehold/v1/lease.ts';
import type {
  AcquireRequest,
  GetLockRequest,
  ReleaseRequest,
  RenewRequest,
} from '../../generated/leasehold/v1/lock_service.ts';
import { CoordinationError } from '../domain/errors.ts';
import { LIMITS } from '../domain/limits.ts';
import type { LeaseSpec, Mode } from '../domain/lock.ts';
import { Violations } from '../domain/violations.ts';
import type { AcquisitionRef, RenewCommand } from '../store/lock-store.ts';
import { decodeDuration } from './durations.ts';

/** The bounds of a lease's TTL that the operator chose. */
export interface TtlBounds {
  readonly maxTtlMs: number;
  readonly defaultTtlMs: number;
}

export interface AcquireInput {
  readonly spec: LeaseSpec;
  /** 0: try once. */
  readonly waitMs: number;
}

export function decodeAcquire(request: AcquireRequest, bounds: TtlBounds): AcquireInput {
  const violations = new Violations();
  const { spec } = request;
  if (!spec) {
    violations.note('spec', 'is required');
    violations.refuse();
    throw new Error('unreachable: a violation was noted');
  }
  const decoded = decodeSpec(violations, spec, bounds);
  checkDurability(violations, 'spec.durability', spec.durability);
  const waitMs = decodeWait(violations, request.wait, LIMITS.unaryWaitMs);
  violations.refuse();
  if (spec.durability?.level?.$case === 'replicated') throw notServed('replicated durability');
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

export function decodeRenew(request: RenewRequest, { maxTtlMs }: TtlBounds): RenewCommand {
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

function decodeSpec(violations: Violations, spec: LeaseSpecMessage, bounds: TtlBounds): LeaseSpec {
  const { minTtlMs } = LIMITS;
  const { maxTtlMs, defaultTtlMs } = bounds;
  const ttl = decodeDuration(spec.ttl);
  const minHold = decodeDuration(spec.minHold);
  const maxHold = decodeDuration(spec.maxHold);
  return {
    resource: violations.resource('spec.resource', spec.resource),
    leaseId: violations.uuid('spec.lease_id', spec.leaseId),
    owner: violations.owner('spec.owner', spec.owner),
    mode: violations.mode('spec.permits', decodeMode(spec.mode)),
    metadata: violations.metadata('spec.metadata', spec.metadata),
    ttlMs: violations.duration('spec.ttl', ttl, minTtlMs, maxTtlMs, defaultTtlMs),
    minHoldMs: violations.duration('spec.min_hold', minHold, 0, LIMITS.minHoldMs, 0),
    maxHoldMs: violations.duration('spec.max_hold', maxHold, minTtlMs, LIMITS.maxHoldMs, 0),
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

function checkDurability(violations: Violations, field: string, durability: Durability | undefined): void {
  if (durability?.level?.$case !== 'replicated') return;
  const { minAcks } = durability.level.value;
  if (minAcks < 0 || minAcks > 16)
    violations.note(`${field}.replicated.min_acks`, `must be from 0 to 16, is ${minAcks}`);
}

function notServed(what: string): CoordinationError {
  return new CoordinationError('NOT_IMPLEMENTED', `this server does not serve ${what}`);
}
