// What spans say, when they end, and what they leave out, over a real channel and Redis. The SDK is in this process,
// for the instance and the client alike.

import { randomUUID } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-node';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  HoldRequest,
  KeepAliveRequest,
  WatchLocksRequest,
} from '../../generated/leasehold/v1/lock_service.ts';
import { Client } from '../../src/client/client.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { EventStream } from '../support/event-stream.ts';
import { eventually } from '../support/eventually.ts';
import { MetricSamples } from '../support/metric-samples.ts';
import { type Rig, startRig } from '../support/store-kinds.ts';
import { duration, startInstance, TestClient } from '../support/test-instance.ts';

const exporter = new InMemorySpanExporter();
let fails = false;
const failing: SpanProcessor = {
  onStart: () => {
    if (fails) throw new Error('a processor that is broken');
  },
  onEnd: () => {
    if (fails) throw new Error('a processor that is broken');
  },
  forceFlush: async () => {},
  shutdown: async () => {},
};
const provider = new NodeTracerProvider({ spanProcessors: [failing, new SimpleSpanProcessor(exporter)] });
const ACQUIRE = 'leasehold.v1.LockService/Acquire';
const HOLD = 'leasehold.v1.LockService/Hold';
const KEEP_ALIVE = 'leasehold.v1.LockService/KeepAlive';
const TRACE = '0af7651916cd43dd8448eb211c80319c';

let rig: Rig;
let resource: string;

beforeAll(async () => {
  provider.register();
  rig = await startRig('redis', {
    LEASEHOLD_AUTH_ANONYMOUS_ADMIN: 'true',
    LEASEHOLD_SERVER_DRAIN_TIMEOUT: '1s',
  });
});
afterAll(async () => {
  await rig?.stop();
  await provider.shutdown();
});
beforeEach(() => {
  resource = `r-${randomUUID()}`;
});
afterEach(() => {
  fails = false;
  exporter.reset();
});

const named = (name: string): readonly ReadableSpan[] =>
  exporter.getFinishedSpans().filter((span) => span.name === name);

/** The spans of this name, once there are so many. */
async function spans(name: string, count = 1): Promise<readonly ReadableSpan[]> {
  await eventually(() => named(name).length >= count, { what: `${count} of ${name}`, withinMs: 10_000 });
  return named(name);
}

async function onlySpan(name: string): Promise<ReadableSpan> {
  const [span, ...more] = await spans(name);
  expect(more).toEqual([]);
  return span as ReadableSpan; // there is one
}

const eventsOf = (span: ReadableSpan): string[] => span.events.map(({ name }) => name);

function traced(flags: '00' | '01'): Metadata {
  const metadata = new Metadata();
  metadata.set('traceparent', `00-${TRACE}-b7ad6b7169203331-${flags}`);
  return metadata;
}

function hold(metadata = new Metadata()) {
  const request = HoldRequest.fromPartial({ spec: { resource, leaseId: randomUUID() } });
  return new EventStream(rig.client.stub.hold(request, metadata));
}

describe('calls', () => {
  test('a call that waited has its place in the queue, the offer and the grant as events', async () => {
    const { lease } = await rig.client.acquire({ resource });
    const waiting = rig.client.acquire({ resource }, { $case: 'waitTimeout', value: duration(20_000) });
    await eventually(async () => (await rig.client.getLock(resource)).lock?.waiterCount === 1, {
      what: 'the waiter',
      withinMs: 10_000,
    });
    await rig.client.release({ resource, leaseId: lease?.leaseId ?? '' });
    await waiting;
    const [first, second] = await spans(ACQUIRE, 2);
    if (!first || !second) throw new Error('two spans');
    expect(first.attributes).toMatchObject({ 'leasehold.queued': false, 'leasehold.outcome': 'ok' });
    expect(eventsOf(first)).toEqual([]);
    expect(second.attributes).toMatchObject({ 'leasehold.queued': true, 'leasehold.outcome': 'ok' });
    expect(eventsOf(second)).toEqual(['queued', 'granted']);
    expect(second.events[0]?.attributes).toEqual({ 'leasehold.position': 1 });
    const confirmed = (await spans('EVALSHA confirm-offer')).map(
      ({ parentSpanContext }) => parentSpanContext,
    );
    expect(confirmed).toEqual([expect.objectContaining({ spanId: second.spanContext().spanId })]);
  });

  test('a refusal is named, and is no error of the server', async () => {
    await rig.client.acquire({ resource });
    await expect(rig.client.acquire({ resource })).rejects.toMatchObject({ reason: 'LOCK_CONTENDED' });
    const [, refused] = await spans(ACQUIRE, 2);
    expect(refused?.attributes).toMatchObject({
      'leasehold.outcome': 'LOCK_CONTENDED',
      'rpc.grpc.status_code': 10,
    });
    expect(refused?.status.code).toBe(SpanStatusCode.UNSET);
    expect(refused?.kind).toBe(SpanKind.SERVER);
  });

  test('a call is in the trace of its caller, and in none if the caller has left it out', async () => {
    const hidden = hold(traced('00'));
    await hidden.event('granted');
    const seen = hold(traced('01'));
    expect(await seen.ended()).toBe('10 LOCK_CONTENDED');
    const span = await onlySpan(HOLD);
    expect(span.spanContext().traceId).toBe(TRACE);
    expect(span.attributes['leasehold.outcome']).toBe('LOCK_CONTENDED');
    hidden.call.cancel();
  });

  test('a span shows the hash of the name, and the name only where that is allowed', async () => {
    const { port } = rig.redis?.listens ?? { port: 0 };
    const instance = await startInstance({
      LEASEHOLD_REDIS_ADDRESS: `127.0.0.1:${port}`,
      LEASEHOLD_MONITORING_TRACE_NAMES: 'true',
    });
    const client = new TestClient(instance.address);
    try {
      await eventually(() => instance.store.status().usable, { what: 'a usable store', withinMs: 30_000 });
      await client.acquire({ resource });
      await rig.client.getLock(resource);
      const { attributes: open } = await onlySpan(ACQUIRE);
      const { attributes: closed } = await onlySpan('leasehold.v1.LockService/GetLock');
      expect(open).toMatchObject({ 'leasehold.resource': resource });
      expect(open['leasehold.resource.hash']).toMatch(/^[0-9a-f]{16}$/);
      expect(closed['leasehold.resource.hash']).toBe(open['leasehold.resource.hash']);
      expect(JSON.stringify(closed)).not.toContain(resource);
    } finally {
      client.close();
      await instance.stop();
    }
  });

  test('what a broken SDK throws costs no call', async () => {
    fails = true;
    const { lease } = await rig.client.acquire({ resource });
    expect(await rig.client.release({ resource, leaseId: lease?.leaseId ?? '' })).toEqual({ released: true });
    const stream = hold();
    expect(await stream.event('granted')).toBeDefined();
    stream.call.cancel();
  });
});

describe('streams', () => {
  test('the span of a Hold ends with the grant, and a loss is a span of its own that is linked to it', async () => {
    const stream = hold();
    await stream.event('granted');
    const span = await onlySpan(HOLD);
    expect(span.attributes).toMatchObject({ 'leasehold.outcome': 'granted', 'rpc.grpc.status_code': 0 });
    await rig.client.forceRelease({ resource, immediate: true });
    await stream.event('lost');
    const lost = await onlySpan(`${HOLD} lost`);
    expect(lost.attributes).toEqual({ 'leasehold.outcome': 'revoked' });
    expect(lost.links.map(({ context }) => context)).toEqual([span.spanContext()]);
    expect(lost.spanContext().traceId).not.toBe(span.spanContext().traceId);
  });

  test('a lease that is released is not lost', async () => {
    const stream = hold();
    const { leaseId } = await stream.event('granted');
    await rig.client.release({ resource, leaseId });
    await stream.event('lost'); // this is how a stream hears of it
    await stream.ended();
    expect(named(`${HOLD} lost`)).toEqual([]);
  });

  test('a KeepAlive has a span only in the trace of a caller', async () => {
    const { lease } = await rig.client.acquire({ resource });
    if (!lease) throw new Error('no lease');
    const { leaseId, fencingToken } = lease;
    const ref = { resource, leaseId, fencingToken };
    const keep = (metadata: Metadata) =>
      new EventStream(rig.client.stub.keepAlive(KeepAliveRequest.fromPartial({ leases: [ref] }), metadata));
    const first = keep(new Metadata());
    await first.event('renewed');
    const second = keep(traced('01'));
    await second.event('renewed');
    expect((await onlySpan(KEEP_ALIVE)).spanContext().traceId).toBe(TRACE);
    expect(await first.ended()).toContain('MOVED');
    second.call.cancel();
  });

  test('the span of a watch ends with its snapshot', async () => {
    const request = WatchLocksRequest.fromPartial({ resources: [resource] });
    const stream = new EventStream(rig.client.stub.watchLocks(request, new Metadata()));
    await stream.event('snapshotComplete');
    const span = await onlySpan('leasehold.v1.LockService/WatchLocks');
    expect(span.attributes['leasehold.outcome']).toBe('snapshot-complete');
    stream.call.cancel();
  });
});

describe('the client', () => {
  let client: Client;

  beforeEach(() => {
    client = new Client({ addresses: formatHostPort(rig.instance.address) });
  });
  afterEach(() => client.close());

  test('an error of the work is recorded whole, and an error of Leasehold without the names in it', async () => {
    await expect(
      client.withLock(resource, async () => {
        await client.withLock(resource, () => {}, { waitMs: 0 }).catch(() => {});
        throw new TypeError('out of paper');
      }),
    ).rejects.toThrow('out of paper');
    const [inner, outer] = await spans('leasehold.withLock', 2);
    if (!inner || !outer) throw new Error('two spans');
    expect(inner.parentSpanContext?.spanId).toBe(outer.spanContext().spanId);
    expect(inner.attributes['leasehold.outcome']).toBe('LOCK_CONTENDED');
    expect(inner.events.map(({ attributes }) => attributes)).toEqual([
      { 'exception.type': 'ContendedError' },
    ]);
    expect(JSON.stringify(inner.events)).not.toContain(resource);
    expect(inner.status.code).toBe(SpanStatusCode.ERROR);
    expect(outer.events[0]?.attributes).toMatchObject({
      'exception.type': 'TypeError',
      'exception.message': 'out of paper',
    });
  });

  test('a wait for a lock is a span with its events; a try without a wait has none', async () => {
    const held = await client.tryAcquire(resource);
    const waiting = client.acquire(resource);
    await eventually(async () => (await client.locks.get(resource)).waiterCount === 1, {
      what: 'the waiter',
      withinMs: 10_000,
    });
    await held?.release();
    await (await waiting).release();
    const span = await onlySpan('leasehold.acquire');
    expect(eventsOf(span)).toEqual(['queued', 'granted']);
    expect(span.kind).toBe(SpanKind.INTERNAL);
  });

  test('traceNames shows names in the spans of the client', async () => {
    const open = new Client({ addresses: formatHostPort(rig.instance.address), traceNames: true });
    await open.withLocks([resource, { resource: `${resource}-2` }], () => {});
    open.close();
    const span = await onlySpan('leasehold.withLocks');
    expect(span.attributes['leasehold.resources']).toEqual([resource, `${resource}-2`]);
    expect(span.attributes['leasehold.resource.hashes']).toHaveLength(2);
  });

  test('what keeps a lease alive is in no trace of its holder', async () => {
    const endedHolds = async () =>
      new MetricSamples(await rig.instance.metricsText()).sum('leasehold_calls_total', { method: 'Hold' });
    const before = await endedHolds();
    const lease = await client.acquire(resource);
    // The Hold ends when a KeepAlive has taken the lease over.
    await eventually(async () => (await endedHolds()) > before, { what: 'a KeepAlive', withinMs: 15_000 });
    expect(lease.remainingMs()).toBeGreaterThan(0);
    await lease.release();
    await onlySpan(HOLD);
    expect(named(KEEP_ALIVE)).toEqual([]);
  });
});
