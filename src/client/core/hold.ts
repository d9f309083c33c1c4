// Acquires a lease by Hold: it waits in the queue, over as many streams as that takes, and hands the grant to a
// HeldLease. A stream that breaks, moves or grows old is followed by another with the same lease_id, so that the lease
// keeps its place in the queue. A wait that ends without a lease leaves nothing behind, if a server can be reached.

import { status } from '@grpc/grpc-js';
import { LeaseSpec } from '../../../generated/leasehold/v1/lease.ts';
import { HoldRequest } from '../../../generated/leasehold/v1/lock_service.ts';
import { fullJitterMs } from '../../domain/backoff.ts';
import { SILENCE_MS } from './batch.ts';
import { type CallError, localError } from './call-error.ts';
import type { Channel } from './channel.ts';
import { HeldLease, type HeldLeaseOptions, tell } from './held-lease.ts';
import { keepersOf } from './keepers.ts';
import { holdStream, type LeaseCall, type LeaseMessage } from './lease-call.ts';
import { ANSWER_WITHIN_MS, giveBack } from './release.ts';
import { StreamCall } from './stream-call.ts';
import { durationOf } from './time-spans.ts';
import { answerShareMs, BACKOFF, HURRY_MS, TRY_FOR_MS } from './unary-call.ts';

export interface HoldOptions extends HeldLeaseOptions {
  /** Its lease_id names the acquisition: a random UUID, a new one for each. */
  readonly spec: Parameters<typeof LeaseSpec.fromPartial>[0] & { resource: string; leaseId: string };
  /** How long to wait, over all streams, in milliseconds; Infinity waits for ever, 0 or undefined not at all. */
  readonly waitMs?: number;
  /**
   * How long all of it may take, in milliseconds, the wait included. Unset: as long as `waitMs`; and without a wait
   * until each instance was asked once.
   */
  readonly timeoutMs?: number;
  /** How old a stream that waits may grow, in milliseconds; 30 min by default. */
  readonly reopenAfterMs?: number;
  /** Its abort gives up the wait. */
  readonly signal?: AbortSignal;
}

const REOPEN_AFTER_MS = 30 * 60_000;

type StreamEnd =
  | { readonly kind: 'granted'; readonly held: HeldLease }
  /** Another stream must follow. This one goes on until that one is heard of: else the queue would pass over it. */
  | { readonly kind: 'old'; readonly call: LeaseCall }
  | {
      readonly kind: 'failed';
      readonly error: CallError;
      readonly wasHeardOf: boolean;
      /** Its time was over and no server had said anything. */
      readonly wasSilent: boolean;
    };

interface StreamBounds {
  /** How long an instance may take to say anything to a stream that waits for nothing, in milliseconds. */
  readonly answerMs: number;
  /** How long the stream may take at most, in milliseconds. */
  readonly endsAfterMs: number;
}

/**
 * Acquires a lease by Hold and keeps it. Throws CallError: LOCK_CONTENDED when the wait is over, CANCELLED after
 * `signal`, and any error that a repeat doesn't help. It then leaves nothing in a queue, if it can reach a server.
 */
export async function hold(channel: Channel, options: HoldOptions): Promise<HeldLease> {
  const { clock, random } = channel;
  const { waitMs = 0, timeoutMs, signal, observer } = options;
  const spec = LeaseSpec.fromPartial(options.spec);
  const startMs = clock.monotonicMs();
  const wholeEndMs = startMs + (timeoutMs ?? Number.POSITIVE_INFINITY);
  const giveUpMs = startMs + (timeoutMs ?? (waitMs > 0 ? waitMs : ANSWER_WITHIN_MS));
  // The server says that the wait is over before the caller stops listening.
  const waitEndMs = Math.min(startMs + waitMs, wholeEndMs - answerShareMs(timeoutMs ?? 0));
  const asksOnce = waitMs <= 0 && timeoutMs === undefined;
  let former: LeaseCall | undefined;
  let tries = 0;
  let asked = 0;
  let answerMs = TRY_FOR_MS;
  let wasSent = false;
  if (signal?.aborted) throw gaveUp();
  for (;;) {
    const { seat } = channel;
    const nowMs = clock.monotonicMs();
    const waitLeftMs = waitEndMs - nowMs;
    const renewFor = durationOf(channel.renewForMs);
    const request = HoldRequest.fromPartial({ spec, wait: waitOf(waitMs, waitLeftMs), renewFor });
    const inQueueMs = (request.wait ? Math.max(0, waitLeftMs) : 0) + answerMs;
    const bounds = { answerMs, endsAfterMs: Math.min(inQueueMs, wholeEndMs - nowMs) };
    const end: StreamEnd = signal?.aborted
      ? { kind: 'failed', error: gaveUp(), wasHeardOf: false, wasSilent: false }
      : await oneStream(channel, request, options, bounds, former).catch(async (error: unknown) => {
          // The user's `token` function threw. (On a closed channel there is nothing left to end.)
          former?.cancel();
          if (wasSent) await giveBack(channel, [spec], Math.max(0, wholeEndMs - clock.monotonicMs()));
          throw error;
        });
    if (end.kind === 'granted') return end.held;
    if (end.kind === 'old') {
      former = end.call;
      wasSent = true;
      tell(observer, { kind: 'reopened', why: 'the stream is old' });
      continue;
    }
    former?.cancel();
    former = undefined;
    const { error } = end;
    if (end.wasHeardOf) tries = 0;
    if (end.wasSilent) answerMs *= 2;
    wasSent ||= !error.wasNotSent;
    asked++;
    const isAsked = asksOnce && asked >= channel.instances;
    const endMs = isAsked ? Math.min(giveUpMs, startMs + HURRY_MS) : giveUpMs;
    const isOver = signal?.aborted || clock.monotonicMs() >= endMs;
    const canPass = error.isPassing || error.reason === 'MOVED';
    const pauseMs = Math.max(error.retryAfterMs ?? 0, fullJitterMs(tries++, BACKOFF, random));
    if (isOver || !canPass || clock.monotonicMs() + pauseMs >= endMs) {
      const leavesNothing =
        !wasSent || error.reason === 'LOCK_CONTENDED' || error.code === status.INVALID_ARGUMENT;
      if (!leavesNothing) await giveBack(channel, [spec], Math.max(0, wholeEndMs - clock.monotonicMs()));
      throw error;
    }
    channel.leave(seat);
    tell(observer, { kind: 'reopened', why: error.message });
    await channel.pause(pauseMs, signal);
    if (request.wait) await channel.afterHolders(endMs - clock.monotonicMs(), signal);
  }
}

// Runs one stream until it grants, ends or grows old. Cancels `former` as soon as this stream is heard of.
function oneStream(
  channel: Channel,
  request: HoldRequest,
  options: HoldOptions,
  { answerMs, endsAfterMs }: StreamBounds,
  former: LeaseCall | undefined,
): Promise<StreamEnd> {
  const { clock } = channel;
  const { signal, observer, reopenAfterMs = REOPEN_AFTER_MS } = options;
  const { leases } = keepersOf(channel);
  return new Promise((resolve) => {
    let held: HeldLease | undefined;
    let isOver = false;
    let wasHeardOf = false;
    const finish = (end: StreamEnd): void => {
      if (isOver) return;
      isOver = true;
      for (const timer of [firstAnswer, lastAnswer, age]) timer?.cancel();
      signal?.removeEventListener('abort', cancel);
      former?.cancel();
      resolve(end);
    };
    const fail = (error: CallError, wasSilent = false): void =>
      finish({ kind: 'failed', error, wasHeardOf, wasSilent });
    const call: LeaseCall = new StreamCall<LeaseMessage>(
      {
        channel,
        kind: 'waiting',
        silenceMs: SILENCE_MS,
        onMessage: (from, message) => {
          if (held) return leases.heard(from, message);
          if (isOver) return; // an older stream, which goes on only to keep its place in the queue
          firstAnswer.cancel();
          former?.cancel();
          wasHeardOf = true;
          const { event } = message;
          if (event?.$case === 'queued') tell(observer, { kind: 'queued', position: event.value.position });
          if (event?.$case !== 'granted') return;
          const lease = new HeldLease(channel, event.value, from, options);
          if (lease.state === 'held') {
            held = lease;
            leases.adopt(held, from);
            finish({ kind: 'granted', held });
          } else {
            from.cancel();
            fail(localError(status.ABORTED, 'the lease had ended before its grant arrived'));
          }
        },
        onEnd: (from, error) => (held ? leases.ended(from, error) : fail(error)),
      },
      holdStream(request),
    );
    const cancel = (): void => {
      call.cancel();
      fail(gaveUp());
    };
    const silent = (): void => {
      const error = call.unanswered();
      call.cancel();
      fail(error, !wasHeardOf);
    };
    // An instance that accepts the call and says nothing isn't worth a wait. (One that queues says so every 15 s.)
    const firstAnswer = clock.after(Math.min(request.wait ? SILENCE_MS : answerMs, endsAfterMs), silent);
    // Nor is one that still queues after the time that it was given.
    const lastAnswer = Number.isFinite(endsAfterMs) ? clock.after(endsAfterMs, silent) : undefined;
    const age = clock.after(reopenAfterMs * (1 - 0.1 * channel.random()), () =>
      finish({ kind: 'old', call }),
    );
    signal?.addEventListener('abort', cancel, { once: true });
  });
}

function gaveUp(): CallError {
  return localError(status.CANCELLED, 'the caller gave up waiting');
}

function waitOf(waitMs: number, leftMs: number): HoldRequest['wait'] {
  if (waitMs <= 0) return undefined;
  if (!Number.isFinite(leftMs)) return { $case: 'waitForever', value: true };
  return { $case: 'waitTimeout', value: durationOf(Math.max(1, Math.floor(leftMs))) };
}
