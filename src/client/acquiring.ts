// Acquires leases for users: one with a wait, one without, or several together.

import type { Span } from '@opentelemetry/api';
import type { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import { AcquireManyRequest, type AcquireManyResponse } from '../../generated/leasehold/v1/lock_service.ts';
import { LIMITS } from '../domain/limits.ts';
import { safely } from '../tracing/active-tracer.ts';
import { ANSWER_MS, boundsOfWait, type Caller } from './client-calls.ts';
import { ContendedError, InvalidArgumentError } from './client-errors.ts';
import { keep } from './core/held-lease.ts';
import { hold } from './core/hold.ts';
import { giveBack } from './core/release.ts';
import { Lease, LeaseEnd, type LeaseEvent } from './lease.ts';
import { type AcquireOptions, DEFAULT_WAIT_MS, type LeaseOptions, specOf, waitOf } from './lease-options.ts';
import { LeaseSet } from './lease-set.ts';
import { waitMsOf } from './number-options.ts';
import { inSpan } from './spans.ts';

/** A resource, with the options that differ from those of the call. */
export type WantedLease =
  | string
  | (LeaseOptions & Pick<AcquireOptions, 'leaseId'> & { readonly resource: string });

export async function acquire(
  caller: Caller,
  resource: string,
  options: AcquireOptions = {},
): Promise<Lease> {
  const waitMs = waitMsOf('waitMs', options.waitMs, DEFAULT_WAIT_MS);
  if (waitMs <= 0) return acquireWithin(caller, resource, options, waitMs);
  const subject = { resources: [resource], names: caller.traceNames };
  return inSpan('leasehold.acquire', subject, (span) =>
    acquireWithin(caller, resource, span ? { ...options, onEvent: toldTo(span, options) } : options, waitMs),
  );
}

/** The wait as events of a span. */
function toldTo(span: Span, { onEvent }: AcquireOptions): (event: LeaseEvent) => void {
  return (event) => {
    safely(() => {
      if (event.kind === 'queued') span.addEvent('queued', { 'leasehold.position': event.position });
      if (event.kind === 'granted') span.addEvent('granted');
    });
    onEvent?.(event);
  };
}

async function acquireWithin(
  caller: Caller,
  resource: string,
  options: AcquireOptions,
  waitMs: number,
): Promise<Lease> {
  const { signal, onEvent } = options;
  const timeoutMs = waitMsOf('timeoutMs', options.timeoutMs, undefined);
  const spec = specOf(resource, options, caller.owner);
  const end = new LeaseEnd(resource, onEvent);
  const held = await caller.caught(
    () =>
      hold(caller.channel, {
        spec,
        waitMs,
        observer: end.heard,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(signal ? { signal } : {}),
      }),
    signal,
  );
  return new Lease(held, end, caller);
}

/** Resolves to `undefined` when others hold the lock. */
export async function tryAcquire(
  caller: Caller,
  resource: string,
  options: Omit<AcquireOptions, 'waitMs'> = {},
): Promise<Lease | undefined> {
  try {
    return await acquire(caller, resource, { ...options, waitMs: 0 });
  } catch (error) {
    if (error instanceof ContendedError) return undefined;
    throw error;
  }
}

/** All or none, in one global order, so that two callers can't deadlock. */
export async function acquireMany(
  caller: Caller,
  wanted: readonly WantedLease[],
  options: Omit<AcquireOptions, 'leaseId'> = {},
): Promise<LeaseSet> {
  const waitMs = waitMsOf('waitMs', options.waitMs, DEFAULT_WAIT_MS);
  if (waitMs <= 0) return acquireManyWithin(caller, wanted, options, waitMs);
  return inSpan('leasehold.acquireMany', { resources: wanted, names: caller.traceNames }, () =>
    acquireManyWithin(caller, wanted, options, waitMs),
  );
}

async function acquireManyWithin(
  caller: Caller,
  wanted: readonly WantedLease[],
  options: Omit<AcquireOptions, 'leaseId'>,
  waitMs: number,
): Promise<LeaseSet> {
  const { signal, onEvent } = options;
  const timeoutMs = waitMsOf('timeoutMs', options.timeoutMs, undefined);
  const { clock } = caller.channel;
  const specs = wanted.map((one) =>
    typeof one === 'string'
      ? specOf(one, options, caller.owner)
      : specOf(one.resource, { ...options, ...one }, caller.owner),
  );
  const giveUpMs = clock.monotonicMs() + waitMs;
  const endMs = clock.monotonicMs() + (timeoutMs ?? Number.POSITIVE_INFINITY);
  let tries = 0;
  const onTry = (): void => {
    tries++;
  };
  for (;;) {
    const leftMs = Math.max(0, giveUpMs - clock.monotonicMs());
    try {
      const wholeMs = timeoutMs === undefined ? undefined : Math.max(0, endMs - clock.monotonicMs());
      const wait = boundsOfWait(Math.min(leftMs, LIMITS.unaryWaitMs), wholeMs);
      const { response, ...sent } = await oneWait(caller, specs, wait, onTry, signal);
      const leases = response.leases.map((lease) => {
        const end = new LeaseEnd(lease.resource, onEvent);
        return new Lease(keep(caller.channel, lease, sent, { observer: end.heard }), end, caller);
      });
      return new LeaseSet(leases);
    } catch (error) {
      // The longest wait that one call may ask for is over, and the caller's isn't.
      const canGoOn =
        error instanceof ContendedError && clock.monotonicMs() + ANSWER_MS < Math.min(giveUpMs, endMs);
      if (waitMs > LIMITS.unaryWaitMs && canGoOn) continue;
      // A refusal leaves in place what an earlier try was granted when the answer to that try was lost: the server
      // can't know whether the caller heard of it.
      const leavesNothing =
        (error instanceof ContendedError && tries === 1) || error instanceof InvalidArgumentError;
      if (!leavesNothing) await giveBack(caller.channel, specs, Math.max(0, endMs - clock.monotonicMs()));
      throw error;
    }
  }
}

function oneWait(
  caller: Caller,
  specs: LeaseSpec[],
  { waitMs, bounds }: ReturnType<typeof boundsOfWait>,
  onTry: () => void,
  signal: AbortSignal | undefined,
) {
  const request = AcquireManyRequest.fromPartial({ specs, wait: waitOf(waitMs) });
  return caller.unary<AcquireManyResponse>(
    ({ locks }, metadata, options, callback) => {
      onTry();
      return locks.acquireMany(request, metadata, options, callback);
    },
    { signal, ...bounds },
  );
}
