// Commands on the operations of a store harness, with defaults for everything that a test doesn't mention.

import { randomUUID } from 'node:crypto';
import type { AttemptRef, OperationKey, OperationSpec } from '../../src/domain/operation.ts';
import { SKEW_ALLOWANCE_MS } from '../../src/domain/safety.ts';
import type { BeginCommand, ClaimCommand } from '../../src/store/operation-store.ts';
import { inTime, type StoreHarness } from './store-harness.ts';

export const HEARTBEAT_MS = 10_000;
/** After this much silence an attempt is stale. */
export const STALE_MS = HEARTBEAT_MS + SKEW_ALLOWANCE_MS;
export const DAY_MS = 86_400_000;
/** A stream of the harness's own instance, which hears notices. */
export const STAMP = { instanceId: 'i1', callNumber: 1 };
export const OTHER = { instanceId: 'i2', callNumber: 1 };
export const DONE = Uint8Array.from([1]);
/** The operation that a command is about when none is named. */
export const KEY = { resource: 'invoice:42', operationId: 'send' };
export const EXCLUSIVE_LOCK = {
  mode: { kind: 'exclusive' },
  ttlMs: HEARTBEAT_MS,
  owner: '',
  metadata: new Map<string, string>(),
  minHoldMs: 0,
  maxHoldMs: 0,
} as const;

/** `h` is called for each command, because a suite opens a harness per test. */
export function operationCalls(h: () => StoreHarness) {
  const specOf = (overrides: Partial<OperationSpec> = {}): OperationSpec => ({
    ...KEY,
    type: 'send',
    data: undefined,
    labels: new Map(),
    contentHash: 'same',
    owner: 'billing',
    heartbeatTimeoutMs: HEARTBEAT_MS,
    timeToLiveMs: 0,
    exclusive: false,
    lock: undefined,
    maxAttempts: 3,
    retention: { succeededMs: DAY_MS, failedMs: DAY_MS, cancelledMs: DAY_MS, deadMs: DAY_MS },
    ...overrides,
  });

  const begin = (overrides: Partial<OperationSpec> = {}, more: Partial<BeginCommand> = {}) =>
    h().operations.begin(
      {
        spec: specOf(overrides),
        claimId: undefined,
        stamp: STAMP,
        requestId: '',
        requireLease: undefined,
        ...more,
      },
      inTime(),
    );

  const claim = (claimId: string = randomUUID(), more: Partial<ClaimCommand> = {}) => {
    const usual = { types: ['send'], resourcePrefix: '', owner: 'w', stamp: OTHER, most: 1 };
    const command: ClaimCommand = { ...usual, claimId, ...more };
    return h().operations.claim(command, inTime());
  };

  async function started(overrides: Partial<OperationSpec> = {}): Promise<AttemptRef> {
    const outcome = await begin(overrides, { claimId: randomUUID() });
    if (outcome.kind !== 'begun' || !outcome.attempt) throw new Error(`not started but ${outcome.kind}`);
    const { resource, operationId } = outcome.operation;
    return { resource, operationId, ...outcome.attempt };
  }

  async function claimed(claimId: string = randomUUID(), most = 1): Promise<AttemptRef[]> {
    const outcome = await claim(claimId, { most });
    if (outcome.kind !== 'claimed') throw new Error(`not claimed but ${outcome.kind}`);
    return outcome.claimed.map(({ operation, attempt }) => ({
      resource: operation.resource,
      operationId: operation.operationId,
      ...attempt,
    }));
  }

  const update = (ref: AttemptRef, more: object = {}) =>
    h().operations.update(
      {
        ...ref,
        version: 0,
        data: undefined,
        progress: DONE,
        setLabels: new Map(),
        removeLabels: [],
        requestId: '',
        ...more,
      },
      inTime(),
    );
  const complete = (ref: AttemptRef, more: object = {}) =>
    h().operations.complete(
      { ...ref, transition: 'succeed', outcome: DONE, releaseLease: false, requestId: '', ...more },
      inTime(),
    );
  const yieldIt = (ref: AttemptRef, delayMs = 0, requestId = '') =>
    h().operations.yield({ ...ref, delayMs, requestId }, inTime());
  const beat = async (ref: AttemptRef, stamp = STAMP, takesOver = false) =>
    (await h().operations.heartbeat([{ ...ref, stamp, takesOver }], inTime()))[0];
  const look = async (ref: AttemptRef, stamp = STAMP, takesOver = false) =>
    (await h().operations.heartbeat([{ ...ref, stamp, takesOver, onlyLooks: true }], inTime()))[0];
  const get = async (operationId = 'send') =>
    (await h().operations.getMany([{ ...KEY, operationId }], inTime()))[0];
  const state = async (operationId?: string) => (await get(operationId))?.state;
  const cancel = (key: Partial<OperationKey> = {}, requestId = '') =>
    h().operations.cancel({ ...KEY, ...key, reason: 'enough', requestId }, inTime());
  const retry = (key: Partial<OperationKey> = {}, requestId = '') =>
    h().operations.retry({ ...KEY, ...key, version: 0, requestId }, inTime());
  const remove = (key: Partial<OperationKey> = {}) =>
    h().operations.delete({ ...KEY, ...key, version: 0 }, inTime());

  return {
    begin,
    claim,
    started,
    claimed,
    update,
    complete,
    yieldIt,
    beat,
    look,
    get,
    state,
    cancel,
    retry,
    remove,
  };
}
