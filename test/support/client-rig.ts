// What tests of the client core share: channels, a lease with everything that its observer was told, and instances
// behind proxies. Everything ends with the test.

import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import { onTestFinished } from 'vitest';
import { CallError } from '../../src/client/core/call-error.ts';
import { Channel, type ChannelOptions } from '../../src/client/core/channel.ts';
import type { HeldLease, HeldLeaseEvent } from '../../src/client/core/held-lease.ts';
import type { HoldOptions } from '../../src/client/core/hold.ts';
import { type Clock, systemClock } from '../../src/domain/clock.ts';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from './eventually.ts';
import { RedisProcess } from './redis/redis-process.ts';
import { singleRedis } from './store-kinds.ts';
import { TcpProxy } from './tcp-proxy.ts';
import { duration, startInstance, TestClient } from './test-instance.ts';

export const TTL_MS = 4_000;
export const MARGIN_MS = 200;

/** Begins with the first address, and has no jitter. */
export function channelTo(
  addresses: readonly HostPort[],
  clock: Clock = systemClock,
  more: Pick<ChannelOptions, 'renewForMs' | 'streamsPerConnection' | 'token'> = {},
): Channel {
  const channel = new Channel({
    ...more,
    addresses: addresses.map(formatHostPort),
    credentials: credentials.createInsecure(),
    clock,
    random: () => 0,
  });
  onTestFinished(() => channel.close());
  return channel;
}

export interface Observed {
  readonly events: HeldLeaseEvent[];
  readonly seen: (kind: HeldLeaseEvent['kind'], count?: number) => Promise<unknown>;
  readonly options: HoldOptions;
}

export function observed(resource: string, more: Partial<HoldOptions> = {}): Observed {
  const events: HeldLeaseEvent[] = [];
  const spec = { resource, leaseId: randomUUID(), ttl: duration(TTL_MS) };
  return {
    events,
    options: { spec, observer: (event) => events.push(event), ...more },
    seen: (kind, count = 1) =>
      eventually(() => events.filter((event) => event.kind === kind).length >= count, {
        what: `${count} of ${kind}`,
        withinMs: 15_000,
        everyMs: 5,
      }),
  };
}

export async function started(overrides: Record<string, string> = {}): Promise<Instance> {
  const instance = await startInstance(overrides);
  onTestFinished(() => instance.stop());
  return instance;
}

export async function proxyTo(target: HostPort): Promise<TcpProxy> {
  const proxy = await TcpProxy.start({ target });
  onTestFinished(() => proxy.close());
  return proxy;
}

export const addressOf = ({ host, port }: TcpProxy): HostPort => ({ host, port });

export function directTo({ address }: Instance): TestClient {
  const direct = new TestClient(address);
  onTestFinished(() => direct.close());
  return direct;
}

/** A Redis for several instances, and the environment that makes an instance use it. */
export async function startRedis() {
  const redis = await RedisProcess.server();
  onTestFinished(() => redis.stop());
  await redis.start();
  return { redis, environment: singleRedis(redis) };
}

export async function grants({ store }: Instance): Promise<void> {
  await eventually(() => store.status().usable && store.status().quarantineRemainingMs === 0, {
    what: 'a store that grants',
    withinMs: 60_000,
  });
}

/** Two instances on one Redis, the first behind a proxy. */
export async function pair() {
  const { environment } = await startRedis();
  const [first, second] = [await started(environment), await started(environment)];
  for (const instance of [first, second]) await grants(instance);
  const proxy = await proxyTo(first.address);
  const channel = channelTo([addressOf(proxy), second.address]);
  return { first, second, proxy, channel, direct: directTo(second) };
}

/** The token of the lease that holds the resource. */
export async function holder(direct: TestClient, resource: string): Promise<bigint | undefined> {
  return (await direct.getLock(resource)).lock?.holders[0]?.fencingToken;
}

export async function failure(work: Promise<unknown>): Promise<CallError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CallError)) throw new Error(`no CallError but ${error}`);
  return error;
}

export const lossAt = (lease: HeldLease): Promise<number> =>
  new Promise((resolve) => {
    lease.signal.addEventListener('abort', () => resolve(performance.now()), { once: true });
  });
