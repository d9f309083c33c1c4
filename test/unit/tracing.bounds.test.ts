// What one call may put into a trace: bounded, however long it waits and however often it asks Redis.

import { Metadata } from '@grpc/grpc-js';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type CallTrace, CallTracing } from '../../src/tracing/call-tracing.ts';

const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });

beforeAll(() => provider.register());
afterAll(() => provider.shutdown());
beforeEach(() => exporter.reset());

function begun(request: unknown = {}): CallTrace {
  const path = '/leasehold.v1.OperationStoreService/ClaimOperations';
  const call = { path, metadata: new Metadata(), request };
  const trace = new CallTracing({ version: '1', names: true }).begin(call);
  if (!trace) throw new Error('nothing is traced');
  return trace;
}

/** The spans of the call itself and of what it asked. */
function finished(): { readonly call: ReadableSpan | undefined; readonly asked: readonly ReadableSpan[] } {
  const spans = exporter.getFinishedSpans();
  const isAsked = ({ name }: ReadableSpan): boolean => name.startsWith('EVALSHA');
  return { call: spans.find((span) => !isAsked(span)), asked: spans.filter(isAsked) };
}

test('a call that asks Redis very often has spans of the first scripts, and their number', () => {
  const trace = begun();
  for (let index = 0; index < 1_000; index++) trace.command('claim-operations')('claimed');
  trace.ended('OK', 0, 'ok');
  const { call, asked } = finished();
  expect(asked).toHaveLength(64);
  expect(call?.attributes['leasehold.commands']).toBe(1_000);
});

test('a call that moves up in a long queue has the first positions as events', () => {
  const trace = begun();
  for (let position = 1_000; position > 0; position--) trace.event('queued', { position });
  trace.ended('OK', 0, 'ok');
  const { call } = finished();
  expect(call?.events).toHaveLength(32);
  expect(call?.events[0]?.attributes).toEqual({ 'leasehold.position': 1_000 });
});

test('what happens after the end of the span adds nothing to it', () => {
  const trace = begun();
  trace.answered('granted');
  trace.answered('renewed');
  trace.event('queued', { position: 1 });
  trace.command('renew-locks')('renewed');
  trace.ended('UNAVAILABLE', 14, 'MOVED');
  const { call, asked } = finished();
  expect(call?.attributes).toMatchObject({ 'leasehold.outcome': 'granted', 'rpc.grpc.status_code': 0 });
  expect([call?.events, asked]).toEqual([[], []]);
  expect(exporter.getFinishedSpans()).toHaveLength(1);
});

test('a request that nobody has checked yet makes no span fail', () => {
  for (const request of [
    undefined,
    null,
    'text',
    { resource: 7 },
    { spec: { mode: 'x' } },
    { specs: 'no' },
  ]) {
    begun(request).ended('INVALID_ARGUMENT', 3, 'INVALID_ARGUMENT');
  }
  begun({ specs: [{}, { resource: 'b' }] }).ended('OK', 0, 'ok');
  begun({ spec: { resource: 'x'.repeat(100_000) } }).ended('OK', 0, 'ok');
  const spans = exporter.getFinishedSpans();
  expect(spans).toHaveLength(8);
  expect(String(spans.at(-1)?.attributes['leasehold.resource'])).toHaveLength(512);
});
