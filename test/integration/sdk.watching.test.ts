// Watches of the TypeScript client: elections and their observers, locks as they change, even over a server that comes
// back; and the trace of the caller, which goes with each call.
import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { propagation } from '@opentelemetry/api';
import { expect, onTestFinished, test } from 'vitest';
import type { Leader, LockChange } from '../../src/client/client.ts';
import { eventually } from '../support/eventually.ts';
import { clientTo, collected, proxyTo, refusal, rigOf, started } from '../support/sdk-rig.ts';
import { STORE_KINDS } from '../support/store-kinds.ts';

const soon = { withinMs: 10_000, everyMs: 5 };

/** Reads in the background; the end of the test ends the iteration. */
function reading<T>(items: (signal: AbortSignal) => AsyncIterable<T>): {
  readonly seen: T[];
  end(): Promise<void>;
} {
  const stop = new AbortController();
  const seen: T[] = [];
  const read = async (): Promise<void> => {
    for await (const item of items(stop.signal)) seen.push(item);
  };
  const done = read();
  onTestFinished(() => stop.abort());
  return {
    seen,
    end: () => {
      stop.abort();
      return done;
    },
  };
}

test.each(STORE_KINDS)(
  'In an election on the %s store one candidate leads, every observer knows which, and a resignation hands over',
  async (kind) => {
    const { instance } = await rigOf(kind);
    const [a, b, c] = ['a', 'b', 'c'].map((owner) => clientTo(instance.address, { owner }));
    if (!a || !b || !c) throw new Error('three clients');
    const watching = reading<Leader | undefined>((signal) => c.elect('leader').observe({ signal }));
    await eventually(() => watching.seen.length === 1, { what: 'nobody leads', ...soon });
    const first = await a.elect('leader', { metadata: { zone: '1' } }).campaign();
    const next = b.elect('leader').campaign();
    await eventually(() => watching.seen.length === 2, { what: 'a leads', ...soon });
    await eventually(async () => (await c.locks.get('leader')).waiterCount === 1, {
      what: 'b waits',
      ...soon,
    });
    await first.release();
    const second = await next;
    await eventually(() => watching.seen.at(-1)?.owner === 'b', { what: 'b leads', ...soon });
    await second.release();
    await eventually(() => watching.seen.at(-1) === undefined, { what: 'nobody leads', ...soon });
    const owners = watching.seen.map((leader) => leader?.owner);
    expect([owners[0], owners[1], watching.seen[1]?.metadata]).toEqual([undefined, 'a', { zone: '1' }]);
    expect(watching.seen[1]?.fencingToken).toBe(first.fencingToken);
    expect(second.fencingToken).toBeGreaterThan(first.fencingToken);
    await watching.end();
  },
);

test('A campaign that is given up leaves the queue', async () => {
  const { address } = await started();
  const client = clientTo(address);
  await using _leader = await client.elect('leader').campaign();
  const error = await refusal(client.elect('leader').campaign({ waitMs: 200 }));
  expect(error.name).toBe('ContendedError');
  expect((await client.locks.get('leader')).waiterCount).toBe(0);
});

test.each(STORE_KINDS)(
  'Locks on the %s store are listed by filter, and watched as they change',
  async (kind) => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address, { owner: 'x' });
    const leases = await Promise.all(['a/1', 'a/2', 'b/1'].map((resource) => client.acquire(resource)));
    const names = async (options: Parameters<typeof client.locks.list>[0]): Promise<string[]> =>
      (await collected(client.locks.list(options))).map(({ resource }) => resource);
    expect(await names({ pageSize: 1 })).toEqual(['a/1', 'a/2', 'b/1']);
    expect([await names({ prefix: 'a/' }), await names({ owner: 'y' })]).toEqual([['a/1', 'a/2'], []]);
    expect(await names({ states: ['min-hold'] })).toEqual([]);
    const { seen, end } = reading<LockChange>((signal) => client.locks.watch({ prefix: 'a/', signal }));
    const last = (): LockChange | undefined => seen.at(-1);
    await eventually(() => last()?.kind === 'snapshot-complete', { what: 'the snapshot', ...soon });
    expect(seen).toHaveLength(3);
    await Promise.all(leases.map((lease) => lease.release()));
    await eventually(() => seen.length === 5, { what: 'two changes', ...soon });
    expect(seen.slice(3)).toMatchObject([{ lock: { state: 'free' } }, { lock: { state: 'free' } }]);
    await end();
  },
);

test('A watch goes on after a broken connection, and tells of what was freed in the meantime', {
  timeout: 30_000,
}, async () => {
  const { address } = await started();
  const proxy = await proxyTo(address);
  const [cut, direct] = [clientTo({ host: proxy.host, port: proxy.port }), clientTo(address)];
  const leases = [await direct.acquire('w/kept'), await direct.acquire('w/freed')];
  const { seen, end } = reading<LockChange>((signal) => cut.locks.watch({ prefix: 'w/', signal }));
  const snapshots = (): number => seen.filter(({ kind }) => kind === 'snapshot-complete').length;
  await eventually(() => snapshots() === 1, { what: 'the snapshot', ...soon });
  await proxy.refuse();
  proxy.drop();
  await leases[1]?.release();
  const before = seen.length;
  await proxy.accept();
  await eventually(() => snapshots() === 2, { what: 'the next snapshot', withinMs: 20_000 });
  const told = seen
    .slice(before)
    .map((change) => (change.kind === 'lock' ? [change.lock.resource, change.lock.state] : []));
  expect(told).toEqual([['w/kept', 'held'], ['w/freed', 'free'], []]);
  await end();
});

test('A watch without a server ends in time with an error', { timeout: 30_000 }, async () => {
  const { address } = await started();
  const proxy = await proxyTo(address);
  const client = clientTo({ host: proxy.host, port: proxy.port });
  const watch = client.locks.watch({ timeoutMs: 1_000 });
  expect((await watch.next()).value).toEqual({ kind: 'snapshot-complete' });
  await proxy.refuse();
  proxy.drop();
  const startedMs = performance.now();
  expect((await refusal(watch.next())).name).toBe('UnavailableError');
  expect(performance.now() - startedMs).toBeLessThan(8_000);
  await proxy.accept();
});

test('A reader that stops ends the watch, and leaves no call open', async () => {
  const { address } = await started();
  const client = clientTo(address);
  for await (const change of client.locks.watch()) if (change.kind === 'snapshot-complete') break;
  const signal = AbortSignal.abort();
  expect(await collected(client.locks.watch({ signal }))).toEqual([]);
});

test('The trace of the caller goes with each call', async () => {
  const seen: (string | string[] | undefined)[] = [];
  const server = createServer();
  server.on('stream', (stream, headers) => {
    seen.push(headers.traceparent);
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '16' },
      { endStream: true },
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  const { port } = server.address() as AddressInfo; // not a pipe: see above
  const client = clientTo({ host: '127.0.0.1', port });
  await refusal(client.serverInfo());
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  propagation.setGlobalPropagator({
    inject: (_context, carrier, setter) => setter.set(carrier, 'Traceparent', trace),
    extract: (context) => context,
    fields: () => ['traceparent'],
  });
  onTestFinished(() => propagation.disable());
  await refusal(client.serverInfo());
  await refusal(client.acquire('x'));
  await refusal(client.locks.watch().next());
  const [before, ...after] = seen;
  expect(before).toBe(undefined);
  expect(after.length).toBeGreaterThanOrEqual(3);
  expect(new Set(after)).toEqual(new Set([trace]));
});
