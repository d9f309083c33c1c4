// Spans around what users call: withLock, acquire, operations.run. Calls inside are part of them, in the server's spans
// too, and so is what the user's own function does. Nothing is put together where the process has no OpenTelemetry SDK.

import { type Attributes, type Span, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { activeTracer, nameHash } from '../tracing/active-tracer.ts';
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
  if (!tracer) return work(undefined);
  return tracer.startActiveSpan(name, { kind: SpanKind.INTERNAL }, async (span) => {
    try {
      if (span.isRecording()) span.setAttributes(attributesOf(subject));
      return await work(span);
    } catch (error) {
      if (span.isRecording()) noteError(span, error, subject.names);
      throw error;
    } finally {
      span.end();
    }
  });
}

function attributesOf({ resources, names, more }: SpanSubject): Attributes {
  // Nothing has checked them yet.
  const all = resources.map((one) => String(typeof one === 'string' ? one : one.resource));
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
  const thrown = error instanceof Error ? error : new Error(String(error));
  span.recordException(thrown);
  span.setStatus({ code: SpanStatusCode.ERROR, message: thrown.message });
}
