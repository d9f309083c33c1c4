// One unary call of the client core, with its two lines in the history. Its repeats are part of it: once the outcome of
// any try is unknown, that of the call is, unless a later try was answered.

import { CallError } from '../../../src/client/core/call-error.ts';
import type { Channel } from '../../../src/client/core/channel.ts';
import { type Answered, callUnary, type Invoke } from '../../../src/client/core/unary-call.ts';
import type { Outcome } from '../history.ts';
import { outcomeOf, reasonOf } from './outcome.ts';
import type { Asked, Recorder, Told } from './recorder.ts';

export interface RecordedUnary<Response> extends Asked {
  readonly channel: Channel;
  readonly invoke: Invoke<Response>;
  readonly tryForMs?: number;
  readonly signal?: AbortSignal;
  /** Whether the server was asked to wait. */
  readonly waits?: boolean;
  readonly told: (response: Response) => Told;
  readonly toldByError?: (error: CallError) => Told;
}

export type Result<Response> =
  | ({ readonly outcome: 'ok' } & Answered<Response>)
  | { readonly outcome: 'failed' | 'unknown'; readonly error: CallError };

/** Rejects with an error that is no CallError: a defect. */
export async function recordedUnary<Response>(
  recorder: Recorder,
  call: RecordedUnary<Response>,
): Promise<Result<Response>> {
  const { channel, invoke, told, toldByError, tryForMs, signal, waits = false, ...asked } = call;
  // A call that was never sent changed nothing.
  let worst: Exclude<Outcome, 'ok'> = 'failed';
  const watched: Invoke<Response> = (stubs, metadata, options, callback) =>
    invoke(stubs, metadata, options, (error, response) => {
      if (error && outcomeOf(asked.rpc, new CallError(error), waits) === 'unknown') worst = 'unknown';
      callback(error, response);
    });
  const record = recorder.callBegan(asked);
  try {
    const answered = await callUnary(channel, watched, {
      deadlineMs: asked.deadlineMs,
      ...(tryForMs !== undefined && { tryForMs }),
      ...(signal && { signal }),
    });
    record.ended('ok', '', told(answered.response));
    return { outcome: 'ok', ...answered };
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    record.ended(worst, reasonOf(error), toldByError?.(error));
    return { outcome: worst, error };
  }
}
