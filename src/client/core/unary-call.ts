// One unary call, repeated with the same ids until it is answered or its time is over. Every rpc can be repeated: a
// repeat has no second effect.

import type { CallOptions, ClientUnaryCall, Metadata, ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { fullJitterMs } from '../../domain/backoff.ts';
import { CallError, localError } from './call-error.ts';
import type { Channel, ConnectionKind, Seat } from './channel.ts';
import type { Stubs } from './connections.ts';

export type Invoke<Response> = (
  stubs: Stubs,
  metadata: Metadata,
  options: CallOptions,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

export interface UnaryOptions {
  /** When the caller stops waiting, in milliseconds of the channel's monotonic clock. */
  readonly deadlineMs: number;
  /**
   * How long the first try may take, in milliseconds: an instance that hangs must not use up all the time. Each try
   * that wasn't answered doubles it, so that a slow link needs only enough time in all.
   */
  readonly tryForMs?: number;
  /** Whether the server may take long on purpose. */
  readonly waits?: boolean;
  /** Gives up when each instance was asked once, at the earliest after HURRY_MS. */
  readonly asksOnce?: boolean;
  readonly signal?: AbortSignal;
}

export interface Answered<Response> {
  readonly response: Response;
  /** Just before the client sent the try that was answered: `valid_for` counts from here. */
  readonly sentAtMs: number;
  readonly sentAtWallMs: number;
}

export const BACKOFF = { firstMs: 100, mostMs: 2_000 };
/** How long an instance may take to say anything, before its first answer shows how long answers take. */
export const TRY_FOR_MS = 3_000;
/** For so long the library fails calls by what it knows of its last attempt to connect. It must look again. */
export const HURRY_MS = 1_000;

/** The part of a bound on a whole call that its wait at the server leaves for the answer. */
export function answerShareMs(wholeMs: number): number {
  return Math.min(1_000, wholeMs / 4);
}

/** Throws CallError: at once an error that doesn't pass, else the last one when the time is over. */
export async function callUnary<Response>(
  channel: Channel,
  invoke: Invoke<Response>,
  { deadlineMs, tryForMs = TRY_FOR_MS, waits = false, asksOnce = false, signal }: UnaryOptions,
): Promise<Answered<Response>> {
  const kind = waits ? 'waiting' : 'calls';
  const { clock, random } = channel;
  const hurryUntilMs = clock.monotonicMs() + HURRY_MS;
  let patienceMs = tryForMs;
  let last = localError(status.DEADLINE_EXCEEDED, 'no time was left to ask');
  for (let tries = 0; ; tries++) {
    if (signal?.aborted) throw localError(status.CANCELLED, 'the caller cancelled');
    const leftMs = deadlineMs - clock.monotonicMs();
    if (leftMs <= 0) throw last;
    const { seat } = channel;
    const times = { sentAtMs: clock.monotonicMs(), sentAtWallMs: clock.wallMs() };
    try {
      const response = await once(channel, seat, kind, invoke, Math.min(leftMs, patienceMs), signal);
      return { response, ...times };
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      const isHanging = error.code === status.DEADLINE_EXCEEDED;
      if (!error.isPassing && !isHanging) throw error;
      if (isHanging) patienceMs *= 2;
      last = error;
      channel.leave(seat);
    }
    const waitMs = Math.max(last.retryAfterMs ?? 0, fullJitterMs(tries, BACKOFF, random));
    const isAsked = asksOnce && tries + 1 >= channel.instances;
    const endMs = isAsked ? Math.min(deadlineMs, hurryUntilMs) : deadlineMs;
    if (clock.monotonicMs() + waitMs >= endMs) throw last;
    await channel.pause(waitMs, signal);
    if (waits) await channel.afterHolders(Math.max(0, endMs - clock.monotonicMs()), signal);
  }
}

function once<Response>(
  channel: Channel,
  seat: Seat,
  kind: ConnectionKind,
  invoke: Invoke<Response>,
  withinMs: number,
  signal: AbortSignal | undefined,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const options = { deadline: channel.clock.wallMs() + withinMs };
    const metadata = channel.metadata(); // it may throw
    const place = seat[kind].take();
    const call = invoke(place.stubs, metadata, options, (error, response) => {
      signal?.removeEventListener('abort', cancel);
      ended();
      const { crowd } = place;
      place.free();
      if (error?.code === status.DEADLINE_EXCEEDED) error.details += crowd;
      if (error) reject(new CallError(error));
      else resolve(response);
    });
    const cancel = (): void => call.cancel();
    const ended = channel.began(cancel);
    signal?.addEventListener('abort', cancel, { once: true });
  });
}
