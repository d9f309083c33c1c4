// Spans around what users call: withLock, acquire, operations.run. Calls inside are part of them, in the server's spans
// too, and so is what the user's own function does. Nothing is put together where the process has no OpenTelemetry SDK.

import { type Attributes, context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { activeTracer, nameHash, safely } from '../tracing/active-tracer.ts';
import { LeaseholdError } from './client-errors.ts';

export interface SpanSubject {
  readonly resources: readonly (string | { readonly resource: string })[];
  /** Whether the span shows the names, and not only their hashes. */
  readonly names: boolean;
  readonly more?: Attributes;
}

/** Runs the work in a span of its own, which is the active one inside; without an SDK it just runs it. */
export async function inSpan<T>(
  name: string,
  subject: SpanSubject,
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  const tracer = activeTracer();
  const span = tracer && safely(() => tracer.startSpan(name, { kind: SpanKind.INTERNAL }));
  if (!span) return work(undefined);
  safely(() => span.isRecording() && span.setAttributes(attributesOf(subject)));
  // What the user's context manager throws doesn't say whether the work has begun.
  let begun: Promise<T> | undefined;
  const begin = (): Promise<T> => (begun ??= spanned(span, subject, work));
  safely(() => context.with(trace.setSpan(context.active(), span), begin));
  return begin();
}

async function spanned<T>(span: Span, subject: SpanSubject, work: (span: Span) => Promise<T>): Promise<T> {
  try {
    return await work(span);
  } catch (error) {
    safely(() => span.isRecording() && noteError(span, error, subject.names));
    throw error;
  } finally {
    safely(() => span.end());
  }
}

function attributesOf({ resources, names, more }: SpanSubject): Attributes {
  // Nothing has checked them yet.
  const all = resources.map((one) => String(typeof one === 'string' ? one : one?.resource));
  const [only = '', ...others] = all;
  if (others.length > 0) {
    const hashes = { 'leasehold.resource.hashes': all.map(nameHash) };
    return { ...hashes, ...(names ? { 'leasehold.resources': all } : {}), ...more };
  }
  const hash = { 'leasehold.resource.hash': nameHash(only) };
  return { ...hash, ...(names ? { 'leasehold.resource': only } : {}), ...more };
}

// The messages of Leasehold's own errors hold names. What the user's work throws is the user's, and comes whole.
function noteError(span: Span, error: unknown, names: boolean): void {
  if (error instanceof LeaseholdError) {
    span.setAttribute('leasehold.outcome', error.reason);
    if (names) span.recordException(error);
    else span.addEvent('exception', { 'exception.type': error.name });
    span.setStatus({ code: SpanStatusCode.ERROR, message: error.reason });
    return;
  }
  span.setStatus({ code: SpanStatusCode.ERROR });
  const thrown = error instanceof Error ? error : new Error(String(error)); // some values have no text
  span.setStatus({ code: SpanStatusCode.ERROR, message: thrown.message });
  span.recordException(thrown);
}
