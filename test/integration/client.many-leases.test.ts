// One client with more leases and waiting callers than a connection takes: what keeps a lease never waits for a place
// behind what only waits, also when all connections break at once.

import { expect, test } from 'vitest';
import type { Client, ClientOptions, Lease } from '../../src/client/client.ts';
import { eventually } from '../support/eventually.ts';
import { clientTo, proxyTo, refusal, started } from '../support/sdk-rig.ts';

interface Crowd {
  readonly leases: readonly Lease[];
  readonly granted: () => number;
  readonly lost: () => number;
  /** Resolves when every lease was renewed after the call. */
  readonly renewed: () => Promise<void>;
  /** Resolves when every waiting caller has said its place after the call. */
  readonly queued: () => Promise<void>;
}

/** `held` leases of their own, and `waiting` readers of one resource that somebody else holds. */
async function crowd(client: Client, held: number, waiting: number): Promise<Crowd> {
  let [granted, lost] = [0, 0];
  const renewed = new Set<number>();
  const queued = new Set<number>();
  const leases = await Promise.all(
    Array.from({ length: held }, (_, index) =>
      client.acquire(`held:${index}`, {
        onEvent: ({ kind }) => {
          if (kind === 'renewed') renewed.add(index);
          if (kind === 'lost') lost++;
        },
      }),
    ),
  );
  for (let index = 0; index < waiting; index++) {
    const onEvent = ({ kind }: { readonly kind: string }): void => {
      if (kind === 'queued') queued.add(index);
    };
    client.acquire('gate', { mode: 'shared', waitMs: Number.POSITIVE_INFINITY, onEvent }).then(
      () => granted++,
      () => undefined, // the end of the test closes the client
    );
  }
  const all = async (seen: Set<number>, count: number, what: string): Promise<void> => {
    seen.clear();
    await eventually(() => seen.size === count, { what, withinMs: 60_000 });
  };
  await eventually(() => queued.size === waiting, { what: 'all in the queue', withinMs: 60_000 });
  return {
    leases,
    granted: () => granted,
    lost: () => lost,
    renewed: () => all(renewed, held, 'a renewal of each lease'),
    queued: () => all(queued, waiting, 'a place of each waiting caller'),
  };
}

async function cutOnce(
  held: number,
  waiting: number,
  options: Omit<ClientOptions, 'addresses'> = {},
  environment: Record<string, string> = {},
) {
  const { address } = await started(environment);
  const gate = await clientTo(address).acquire('gate');
  const proxy = await proxyTo(address);
  const { leases, granted, lost, renewed, queued } = await crowd(clientTo(proxy, options), held, waiting);
  proxy.drop();
  await Promise.all([renewed(), queued()]);
  await renewed(); // and they go on to be
  expect({ lost: lost(), held: leases.filter(({ state }) => state === 'held').length }).toEqual({
    lost: 0,
    held,
  });
  expect(granted()).toBe(0);
  await gate.release();
  await eventually(() => granted() === waiting, { what: 'the grants', withinMs: 60_000 });
}

test('900 leases and 600 waiting callers of one client outlive a cut of its connections', {
  timeout: 120_000,
}, async () => {
  await cutOnce(900, 600);
});

test('2,000 leases and 2,000 waiting callers of one client outlive a cut of its connections', {
  timeout: 240_000,
}, async () => {
  await cutOnce(2_000, 2_000);
});

test('Three leases and four waiting callers outlive a cut where a connection takes five calls', {
  timeout: 120_000,
}, async () => {
  await cutOnce(3, 4, { streamsPerConnection: 5 }, { LEASEHOLD_SERVER_MAX_CONCURRENT_STREAMS: '5' });
});

test('The error of a call that found no place on its connection says how many were open, and names the option', {
  timeout: 60_000,
}, async () => {
  const { address } = await started({ LEASEHOLD_SERVER_MAX_CONCURRENT_STREAMS: '5' });
  await clientTo(address).acquire('gate');
  const client = clientTo(address);
  await crowdedGate(client, 5);
  const error = await refusal(client.acquire('free', { waitMs: 500 }));
  expect(error.message).toMatch(/6 calls were open on its connection.*streamsPerConnection/);
});

test('What a client gives back and reads is answered while waiting callers fill their connections', {
  timeout: 60_000,
}, async () => {
  const { address } = await started({ LEASEHOLD_SERVER_MAX_CONCURRENT_STREAMS: '5' });
  await clientTo(address).acquire('gate');
  const client = clientTo(address);
  const lease = await client.acquire('mine');
  await crowdedGate(client, 4);
  void client.acquire('gate', { waitMs: 10_000 }).catch(() => undefined); // finds no place
  expect((await client.locks.get('gate')).waiterCount).toBe(4);
  expect(await lease.release()).toBe(true);
});

/** Fills the places of its waiting connection with callers of a lock that somebody else holds. */
async function crowdedGate(client: Client, count: number): Promise<void> {
  let queued = 0;
  for (let index = 0; index < count; index++) {
    const onEvent = ({ kind }: { readonly kind: string }): void => {
      if (kind === 'queued') queued++;
    };
    client.acquire('gate', { waitMs: 60_000, onEvent }).catch(() => undefined); // the end of the test closes the client
  }
  await eventually(() => queued >= count, { what: 'the queue', withinMs: 10_000 });
}
