// The tracing SDK is the user's, with samplers, processors and propagators that may throw anywhere. Whatever breaks in
// it, calls go on and users get their own values and errors; only spans are missing.

import { Metadata } from '@grpc/grpc-js';
import {
  type ContextManager,
  context,
  propagation as propagationApi,
  ROOT_CONTEXT,
  type Span,
  type TextMapPropagator,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { afterEach, expect, test } from 'vitest';
import { inSpan } from '../../src/client/spans.ts';
import { carryTrace } from '../../src/client/trace-context.ts';
import { LIMITS } from '../../src/domain/limits.ts';
import { CallTracing } from '../../src/tracing/call-tracing.ts';

afterEach(() => {
  trace.disable();
  context.disable();
  propagationApi.disable();
});

function broken(): never {
  throw new Error('a part of the SDK that is broken');
}

/** Every method of it throws, but for those given. */
function brokenBut<T extends object>(working: Partial<T>): T {
  return new Proxy(working, {
    get: (target, key) => Reflect.get(target, key) ?? broken,
  }) as T;
}

const SPAN_CONTEXT = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  traceFlags: 1,
};
const brokenSpan = (): Span => brokenBut<Span>({ isRecording: () => true, spanContext: () => SPAN_CONTEXT });
const PROVIDERS: readonly (readonly [what: string, provider: TracerProvider])[] = [
  ['a provider', brokenBut<TracerProvider>({})],
  ['a tracer', { getTracer: () => brokenBut<Tracer>({}) }],
  ['a span', { getTracer: () => brokenBut<Tracer>({ startSpan: brokenSpan }) }],
];

test.each(PROVIDERS)('%s that throws costs the server no call', (_, provider) => {
  trace.setGlobalTracerProvider(provider);
  const call = { path: '/a.B/C', metadata: new Metadata(), request: { spec: { resource: 'r' } } };
  const traced = new CallTracing({ version: '1', names: false }).begin(call);
  traced?.event('queued', { position: 1 });
  traced?.command('acquire-lock')('error');
  traced?.lost('revoked');
  traced?.ended('INTERNAL', 13, 'INTERNAL');
  traced?.lost('revoked');
});

test.each(PROVIDERS)('%s that throws costs a caller neither its value nor its error', async (_, provider) => {
  trace.setGlobalTracerProvider(provider);
  const subject = { resources: ['r'], names: false };
  let runs = 0;
  const value = await inSpan('leasehold.withLock', subject, async () => ++runs);
  expect([value, runs]).toEqual([1, 1]);
  const own = new TypeError('out of paper');
  const failed = inSpan('leasehold.withLock', subject, async () => Promise.reject(own));
  await expect(failed).rejects.toBe(own);
});

test('a context manager that throws costs a caller nothing, and the work runs once', async () => {
  new NodeTracerProvider().register({ contextManager: null });
  const manager: ContextManager = brokenBut<ContextManager>({
    active: () => ROOT_CONTEXT,
    disable: () => manager,
  });
  context.setGlobalContextManager(manager);
  let runs = 0;
  expect(await inSpan('leasehold.withLock', { resources: ['r'], names: false }, async () => ++runs)).toBe(1);
});

test('a propagator that throws, or writes what metadata cannot hold, costs no call', () => {
  propagationApi.setGlobalPropagator(brokenBut({}));
  carryTrace(() => {});
  propagationApi.setGlobalPropagator(
    brokenBut<TextMapPropagator>({
      inject: (_context, carrier, setter) => setter.set(carrier, 'x-trace', 'line\nline'),
    }),
  );
  carryTrace(() => {
    throw new Error('Metadata string value contains illegal characters');
  });
});

test('what the work throws comes out as it is, whatever it is', async () => {
  const exporter = new InMemorySpanExporter();
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
  const untold = {
    toString() {
      throw new Error('no text');
    },
  };
  for (const thrown of [undefined, null, 'text', Symbol('s'), Object.create(null), untold]) {
    const failed = inSpan('leasehold.withLock', { resources: ['r'], names: true }, async () => {
      throw thrown;
    });
    await expect(failed.catch((error: unknown) => ({ error }))).resolves.toEqual({ error: thrown });
  }
  expect(exporter.getFinishedSpans()).toHaveLength(6);
});

test('a call of a resource that is none fails by the check of it, and not by its span', async () => {
  const exporter = new InMemorySpanExporter();
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
  const resources = [undefined, null] as unknown as string[];
  const subject = { resources, names: true };
  expect(await inSpan('leasehold.withLocks', subject, async () => 'was checked')).toBe('was checked');
});

test('a request with far too many resources costs a bounded amount before it is refused', () => {
  const exporter = new InMemorySpanExporter();
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
  const specs = Array.from({ length: 100_000 }, () => ({ resource: 'r' }));
  const call = { path: '/a.B/C', metadata: new Metadata(), request: { specs } };
  new CallTracing({ version: '1', names: true })
    .begin(call)
    ?.ended('INVALID_ARGUMENT', 3, 'INVALID_ARGUMENT');
  const [span] = exporter.getFinishedSpans();
  expect(span?.attributes['leasehold.resource.hashes']).toHaveLength(LIMITS.acquireMany);
  expect(span?.attributes['leasehold.resources']).toHaveLength(LIMITS.acquireMany);
});

test('a request that attributes cannot be made of leaves no span that never ends', () => {
  const exporter = new InMemorySpanExporter();
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
  const call = { path: '/a.B/C', metadata: new Metadata(), request: { specs: [null] } };
  new CallTracing({ version: '1', names: true })
    .begin(call)
    ?.ended('INVALID_ARGUMENT', 3, 'INVALID_ARGUMENT');
  expect(exporter.getFinishedSpans()).toHaveLength(1);
});

test('a propagator that looks for its key among all of them finds it', () => {
  const exporter = new InMemorySpanExporter();
  const propagator: TextMapPropagator = {
    inject: broken,
    // As that of AWS X-Ray does.
    extract: (base, carrier, { keys, get }) => {
      const key = keys(carrier).find((each) => each.toLowerCase() === 'x-amzn-trace-id');
      expect(key && get(carrier, key)).toEqual(['Root=1']);
      return trace.setSpanContext(base, SPAN_CONTEXT);
    },
    fields: () => ['X-Amzn-Trace-Id'],
  };
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register({ propagator });
  const metadata = new Metadata();
  metadata.set('X-Amzn-Trace-Id', 'Root=1');
  const call = { path: '/a.B/C', metadata, request: {} };
  new CallTracing({ version: '1', names: false }).begin(call)?.ended('OK', 0, 'ok');
  expect(exporter.getFinishedSpans()[0]?.spanContext().traceId).toBe(SPAN_CONTEXT.traceId);
});
