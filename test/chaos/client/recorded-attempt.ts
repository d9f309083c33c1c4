// One attempt as its worker sees it: what it believes by the answers, a stream that keeps it alive if it has one, and
// the lease that it shares with its operation's lock.

import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import type { Attempt } from '../../../generated/leasehold/v1/operation.ts';
import {
  AttemptLostReason,
  type KeepAliveOperationResponse,
} from '../../../generated/leasehold/v1/operation_store_service.ts';
import { CallError, localError } from '../../../src/client/core/call-error.ts';
import type { SentAt } from '../../../src/client/core/lease-deadline.ts';
import { AnsweredBelief } from './belief.ts';
import { type ChaosClient, historyClock } from './chaos-client.ts';
import { isLocked, type OperationName } from './chaos-operation-names.ts';
import { millisecondsOf } from './lease-request.ts';
import type { AttemptName } from './recorded-operations.ts';

const REOPEN_AFTER_MS = 300;

export class RunningAttempt {
  readonly name: AttemptName;
  /** The beliefs in the attempt, and in the lock that it holds. */
  readonly beliefs: readonly AnsweredBelief[];
  #isCancelRequested = false;

  constructor(client: ChaosClient, operation: OperationName, attempt: Attempt, sent: SentAt, ttlMs: number) {
    const { resource, operationId } = operation;
    const { claimId, fencingToken } = attempt;
    this.name = { resource, operationId, claimId, fencingToken };
    const common = { leaseId: claimId, token: String(fencingToken), mode: 'exclusive' };
    const own = { ...common, resource: `${resource}/${operationId}`, of: 'attempt' as const };
    const lock = { ...common, resource, of: 'lock' as const };
    const names = isLocked(operation) ? [own, lock] : [own];
    this.beliefs = names.map((name) => new AnsweredBelief(client.recorder, name, ttlMs));
    this.heard(attempt, sent);
  }

  get isOver(): boolean {
    return this.beliefs.some(({ isOver }) => isOver);
  }

  get isCancelRequested(): boolean {
    return this.#isCancelRequested;
  }

  heard(attempt: Attempt | undefined, sent: SentAt): void {
    for (const belief of this.beliefs) belief.heard(sent, millisecondsOf(attempt?.validFor));
  }

  ended(why: string): void {
    for (const belief of this.beliefs) belief.ended(why);
  }

  /** Keeps the attempt alive by streams, one after the other, until it is over. */
  async keepAlive(client: ChaosClient): Promise<void> {
    while (!this.isOver && !client.isStopping) {
      const error = await this.#stream(client);
      if (this.isOver || client.isStopping) return;
      client.recorder.noted('reopened', `${this.name.resource}/${this.name.operationId}`);
      if (error.reason !== 'MOVED') client.channel.leave(client.channel.seat);
      await client.pause(REOPEN_AFTER_MS);
    }
  }

  /** Resolves when the stream ends. */
  #stream(client: ChaosClient): Promise<CallError> {
    const { channel, recorder, stop } = client;
    const place = channel.seat.keeping.take();
    const { operations } = place.stubs;
    const sent = { sentAtMs: historyClock.monotonicMs(), sentAtWallMs: historyClock.wallMs() };
    const stream: ClientReadableStream<KeepAliveOperationResponse> = operations.keepAliveOperation(
      { ...this.name, renewFor: undefined },
      channel.metadata(),
    );
    return new Promise((resolve) => {
      const cancel = (): void => stream.cancel();
      const ended = channel.began(cancel);
      stop.addEventListener('abort', cancel, { once: true });
      const finish = (error: CallError): void => {
        ended();
        place.free();
        stop.removeEventListener('abort', cancel);
        resolve(error);
      };
      stream.on('data', ({ event }: KeepAliveOperationResponse) => {
        // An attempt that is over ignores a stream that goes on a little.
        if (this.isOver) return cancel();
        switch (event?.$case) {
          case 'renewed':
            this.heard(event.value, sent);
            break;
          case 'atRisk':
            recorder.noted('at-risk', this.name.resource);
            break;
          case 'cancelRequested':
            this.#isCancelRequested = true;
            break;
          case 'lost':
            this.ended(`lost:${lossName(event.value.reason)}`);
            break;
          case 'draining':
            recorder.noted('draining', this.name.resource);
            channel.leave(channel.seat);
            cancel();
        }
      });
      stream.on('error', (error: ServiceError) => finish(new CallError(error)));
      stream.on('end', () => finish(localError(status.UNAVAILABLE, 'the stream ended')));
    });
  }
}

function lossName(reason: AttemptLostReason): string {
  const name = Object.entries(AttemptLostReason).find(([, value]) => value === reason)?.[0];
  return name?.replace('ATTEMPT_LOST_REASON_', '') ?? String(reason);
}
