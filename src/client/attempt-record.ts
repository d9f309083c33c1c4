// Writes what the worker of an attempt has to say into the record of its operation. Every write names the attempt and
// carries a request_id, so that a repeat has no second effect.

import { randomUUID } from 'node:crypto';
import type { Duration } from '../../generated/google/protobuf/duration.ts';
import {
  AttemptLostReason,
  CompleteOperationRequest,
  type CompleteOperationResponse,
  UpdateOperationRequest,
  type UpdateOperationResponse,
  type YieldOperationResponse,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import type { Caller } from './client-calls.ts';
import { AttemptLostError } from './client-errors.ts';
import type { HeldAttempt } from './core/held-attempt.ts';
import { encodePayload } from './core/json-payload.ts';
import type { AttemptName } from './core/keepers.ts';
import { ANSWER_WITHIN_MS } from './core/release.ts';
import type { Answered, Invoke } from './core/unary-call.ts';
import { spanOf } from './number-options.ts';

export interface RecordUpdate {
  readonly progress?: unknown;
  readonly data?: unknown;
  readonly setLabels?: Readonly<Record<string, string>> | undefined;
  readonly removeLabels?: readonly string[] | undefined;
}

/** google.rpc.Code.UNKNOWN: the work threw, and only people can say what it means. */
const UNKNOWN = 2;
/** Enough for any message that people read, and far below the limit of a record. */
const MESSAGE_CHARS = 4_096;

/** The call that gives an attempt back; the operation can be claimed after `delay`, at once without one. */
export function yielding(name: AttemptName, delay: Duration | undefined): Invoke<YieldOperationResponse> {
  const request = { ...name, delay, requestId: randomUUID() };
  return ({ operations }, metadata, options, callback) =>
    operations.yieldOperation(request, metadata, options, callback);
}

export class AttemptRecord {
  readonly #caller: Caller;
  readonly #held: HeldAttempt;
  readonly #hasLease: boolean;

  constructor(caller: Caller, held: HeldAttempt, hasLease: boolean) {
    this.#caller = caller;
    this.#held = held;
    this.#hasLease = hasLease;
  }

  /** Counts as a heartbeat. */
  async update({ progress, data, setLabels = {}, removeLabels = [] }: RecordUpdate): Promise<void> {
    const request = UpdateOperationRequest.fromPartial({
      ...this.#held.name,
      requestId: randomUUID(),
      progress: progress === undefined ? undefined : encodePayload(progress),
      data: data === undefined ? undefined : encodePayload(data),
      setLabels: new Map(Object.entries(setLabels)),
      removeLabels: [...removeLabels],
    });
    const { response, ...sent } = await this.#write<UpdateOperationResponse>(
      ({ operations }, metadata, options, callback) =>
        operations.updateOperation(request, metadata, options, callback),
    );
    if (response.attempt) this.#held.extend(response.attempt, sent);
  }

  async complete(outcome: CompleteOperationRequest['outcome']): Promise<void> {
    const request = CompleteOperationRequest.fromPartial({
      ...this.#held.name,
      outcome,
      releaseLease: this.#hasLease,
      requestId: randomUUID(),
    });
    await this.#write<CompleteOperationResponse>(({ operations }, metadata, options, callback) =>
      operations.completeOperation(request, metadata, options, callback),
    );
  }

  fail(error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    // Half of a surrogate pair is no valid UTF-8.
    const value = { code: UNKNOWN, message: message.slice(0, MESSAGE_CHARS).toWellFormed(), details: [] };
    return this.complete({ $case: 'error', value });
  }

  async giveBack(delayMs: number): Promise<void> {
    await this.#write(yielding(this.#held.name, spanOf('delayMs', delayMs)));
  }

  // It tries for as long as the attempt lives: finished work must not be done again because its record is missing.
  async #write<Response>(invoke: Invoke<Response>): Promise<Answered<Response>> {
    try {
      const timeoutMs = Math.max(ANSWER_WITHIN_MS, this.#held.remainingMs());
      return await this.#caller.unary(invoke, { timeoutMs });
    } catch (error) {
      if (error instanceof AttemptLostError)
        this.#held.lose(AttemptLostReason.ATTEMPT_LOST_REASON_SUPERSEDED);
      throw error;
    }
  }
}
