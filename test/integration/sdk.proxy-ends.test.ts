// The TypeScript client behind a proxy that ends calls in its own ways: a reset, a status without details, a page of
// HTTP, a GOAWAY. None says anything about the lock, so the client goes on: docs/clients.md has the list.
import { constants } from 'node:http2';
import { expect, onTestFinished, test } from 'vitest';
import type { LeaseEvent } from '../../src/client/client.ts';
import { eventually } from '../support/eventually.ts';
import { answers, ends, Http2Proxy, type InPlace, resets } from '../support/http2-proxy.ts';
import { clientTo, refusal, started } from '../support/sdk-rig.ts';

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

/** The statuses of gRPC that pass where no ErrorInfo comes with them. */
const PASSING = { CANCELLED: 1, UNKNOWN: 2, DEADLINE_EXCEEDED: 4, INTERNAL: 13, UNAVAILABLE: 14 };

const ENDS: readonly (readonly [what: string, inPlace: InPlace])[] = [
  ['a reset with INTERNAL_ERROR', resets(NGHTTP2_INTERNAL_ERROR)],
  ['a reset with CANCEL', resets(NGHTTP2_CANCEL)],
  ['a reset with REFUSED_STREAM', resets(NGHTTP2_REFUSED_STREAM)],
  ['a reset with NO_ERROR', resets(NGHTTP2_NO_ERROR)],
  ['HTTP 502', answers(502)],
  ['HTTP 503', answers(503)],
  ['HTTP 504', answers(504)],
  ['HTTP 500', answers(500)],
  ...Object.entries(PASSING).map(([name, code]) => [`${name} without details`, ends(code)] as const),
];

async function proxied() {
  const { address } = await started();
  const proxy = await Http2Proxy.start(address);
  onTestFinished(() => proxy.stop());
  return { proxy, client: clientTo(proxy.address), direct: clientTo(address) };
}

test.each(ENDS)(
  'Calls of all kinds go on after %s by a proxy',
  { timeout: 30_000 },
  async (_what, inPlace) => {
    const { proxy, client } = await proxied();
    const all = <T>(call: () => Promise<T>): Promise<T> => {
      proxy.nextCalls(inPlace, inPlace);
      return call();
    };
    expect(await all(() => client.serverInfo())).toMatchObject({ store: 'memory' });
    expect(await all(() => client.withLock('a', () => 'held'))).toBe('held');
    expect(await all(() => client.withLocks(['a', 'b'], () => 'held'))).toBe('held');
    expect(await all(() => client.operations.run('r', '1', () => 'done'))).toBe('done');
    expect((await all(() => client.locks.watch().next())).done).toBe(false);
    expect(proxy.awaited).toBe(0);
  },
);

const IN_THE_MIDDLE: readonly (readonly [what: string, end: (proxy: Http2Proxy) => void])[] = [
  ['resets its stream with INTERNAL_ERROR', (proxy) => proxy.toOpenCalls(resets(NGHTTP2_INTERNAL_ERROR))],
  ['resets its stream with CANCEL', (proxy) => proxy.toOpenCalls(resets(NGHTTP2_CANCEL))],
  ['ends its stream without trailers', (proxy) => proxy.toOpenCalls((stream) => stream.end())],
  ['drops its connection', (proxy) => proxy.drop()],
];

test.each(IN_THE_MIDDLE)(
  'A waiter keeps its place, and a holder its lease, when a proxy %s',
  { timeout: 30_000 },
  async (_what, end) => {
    const { proxy, client, direct } = await proxied();
    const events: LeaseEvent['kind'][] = [];
    const onEvent = ({ kind }: LeaseEvent): unknown => events.push(kind);
    const held = await client.acquire('held', { onEvent });
    const before = await direct.acquire('wanted');
    const wanted = client.acquire('wanted', { waitMs: 20_000 });
    const waits = async (count: number): Promise<unknown> =>
      eventually(
        async () =>
          (await direct.locks.get('wanted')).waiters.filter(({ absent }) => !absent).length === count,
        { what: `${count} waiters that are there`, withinMs: 5_000 },
      );
    await waits(1);
    const behind = direct.acquire('wanted', { waitMs: 20_000 });
    await waits(2);
    const seen = events.length;
    end(proxy);
    await eventually(() => events.slice(seen).includes('renewed'), { what: 'a renewal', withinMs: 10_000 });
    await waits(2);
    await before.release();
    const [first, second] = await Promise.all([
      wanted.then(async (lease) => [lease, await lease.release()]),
      behind,
    ]);
    const [lease] = first as [typeof second]; // the pair that was made just before
    expect(lease.fencingToken).toBeLessThan(second.fencingToken);
    expect(held.state).toBe('held');
  },
);

test('Calls go on when a proxy says GOAWAY, and a lease stays held', { timeout: 30_000 }, async () => {
  const { proxy, client } = await proxied();
  const lease = await client.acquire('held');
  proxy.goAway();
  expect(await client.withLock('other', () => 'held')).toBe('held');
  proxy.drop();
  expect(await client.withLock('other', () => 'held')).toBe('held');
  expect(lease.state).toBe('held');
  expect(await lease.release()).toBe(true);
});

test('A worker whose claims a proxy resets goes on claiming', { timeout: 60_000 }, async () => {
  const { proxy, client } = await proxied();
  const resetAll = Array<InPlace>(3).fill(resets(NGHTTP2_INTERNAL_ERROR));
  proxy.nextCalls(...resetAll);
  const worker = client.operations.worker({ types: 'mail', handler: () => 'sent' });
  await eventually(() => proxy.awaited === 0, { what: 'the resets', withinMs: 10_000 });
  await client.operations.begin('r', '1', { type: 'mail' });
  expect((await client.operations.wait('r', '1')).state).toBe('succeeded');
  await worker.stop();
});

test('Resets that never end are an UnavailableError, NO_ANSWER, which a worker outlives', async () => {
  const { proxy, client } = await proxied();
  proxy.nextCalls(...Array<InPlace>(1_000).fill(resets(NGHTTP2_INTERNAL_ERROR)));
  const error = await refusal(client.serverInfo({ timeoutMs: 1_000 }));
  expect(error).toMatchObject({ name: 'UnavailableError', reason: 'NO_ANSWER' });
});
