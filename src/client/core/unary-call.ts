// One unary call, repeated with the same ids until it is answered or its time is over. Every rpc can be repeated: a
// repeat has no second effect.

import type { CallOptions, ClientUnaryCall, Metadata, ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { fullJitterMs } from '../../domain/backoff.ts';
import { pause } from '../../domain/clock.ts';
import { CallError, localError } from './call-error.ts';
import type { Channel, Stubs } from './channel.ts';

export type Invoke<Response> = (
  stubs: Stubs,
  metadata: Metadata,
  options: CallOptions,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

export interface UnaryOptions {
  /** When the caller stops waiting, in milliseconds of the channel's monotonic clock. */
  readonly deadlineMs: number;
  /** How long one try may take, in milliseconds: an instance that hangs must not use up all the time. */
  readonly tryForMs?: number;
  readonly signal?: AbortSignal;
}

export interface Answered<Response> {
  readonly response: Response;
  /** Just before the client sent the try that was answered: `valid_for` counts from here. */
  readonly sentAtMs: number;
  readonly sentAtWallMs: number;
}

export const BACKOFF = { firstMs: 100, mostMs: 2_000 };
const TRY_FOR_MS = 3_000;

/** Throws CallError: at once an error that doesn't pass, else the last one when the time is over. */
export async function callUnary<Response>(
  channel: Channel,
  invoke: Invoke<Response>,
  { deadlineMs, tryForMs = TRY_FOR_MS, signal }: UnaryOptions,
): Promise<Answered<Response>> {
  const { clock, random } = channel;
  let last = localError(status.DEADLINE_EXCEEDED, 'no time was left to ask');
  for (let tries = 0; ; tries++) {
    if (signal?.aborted) throw localError(status.CANCELLED, 'the caller cancelled');
    const leftMs = deadlineMs - clock.monotonicMs();
    if (leftMs <= 0) throw last;
    const { seat } = channel;
    const times = { sentAtMs: clock.monotonicMs(), sentAtWallMs: clock.wallMs() };
    try {
      const response = await once(channel, seat.calls, invoke, Math.min(leftMs, tryForMs), signal);
      return { response, ...times };
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      const isHanging = error.code === status.DEADLINE_EXCEEDED;
      if (!error.isPassing && !isHanging) throw error;
      last = error;
      channel.leave(seat);
    }
    const waitMs = Math.max(last.retryAfterMs ?? 0, fullJitterMs(tries, BACKOFF, random));
    if (clock.monotonicMs() + waitMs >= deadlineMs) throw last;
    await pause(clock, waitMs, signal);
  }
}

function once<Response>(
  channel: Channel,
  stubs: Stubs,
  invoke: Invoke<Response>,
  withinMs: number,
  signal: AbortSignal | undefined,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const options = { deadline: channel.clock.wallMs() + withinMs };
    const call = invoke(stubs, channel.metadata(), options, (error, response) => {
      signal?.removeEventListener('abort', cancel);
      ended();
      if (error) reject(new CallError(error));
      else resolve(response);
    });
    const cancel = (): void => call.cancel();
    const ended = channel.began(cancel);
    signal?.addEventListener('abort', cancel, { once: true });
  });
}
