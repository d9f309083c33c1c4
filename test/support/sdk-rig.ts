// TypeScript clients for tests, which are closed when the test has finished, and their errors as values.

import { onTestFinished } from 'vitest';
import { type Client, type ClientOptions, createClient, LeaseholdError } from '../../src/client/client.ts';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';
import type { Instance } from '../../src/server/instance.ts';
import { type Rig, type StoreKindName, startRig } from './store-kinds.ts';
import { TcpProxy } from './tcp-proxy.ts';
import { startInstance } from './test-instance.ts';

export function clientTo(
  addresses: HostPort | readonly HostPort[],
  more: Omit<ClientOptions, 'addresses'> = {},
): Client {
  const list = 'host' in addresses ? [addresses] : addresses;
  const client = createClient({ addresses: list.map(formatHostPort), ...more });
  onTestFinished(() => client.close());
  return client;
}

export async function started(overrides: Readonly<Record<string, string>> = {}): Promise<Instance> {
  const instance = await startInstance(overrides);
  onTestFinished(() => instance.stop());
  return instance;
}

export async function rigOf(kind: StoreKindName): Promise<Rig> {
  const rig = await startRig(kind);
  onTestFinished(() => rig.stop());
  return rig;
}

export async function proxyTo(target: HostPort): Promise<TcpProxy> {
  const proxy = await TcpProxy.start({ target });
  onTestFinished(() => proxy.close());
  return proxy;
}

/** The error with which the work rejects; fails when it doesn't reject. */
export async function thrown(work: Promise<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await work;
  } catch (error) {
    return error;
  }
  throw new Error(`it resolved, with ${String(value)}`);
}

/** As above, where it must be one of the client's errors, with a message that says what to do. */
export async function refusal(work: Promise<unknown>): Promise<LeaseholdError> {
  const error = await thrown(work);
  if (!(error instanceof LeaseholdError)) throw new Error('not an error of the SDK', { cause: error });
  // A message says what happened and what to do, so it has two sentences at least.
  if (!/^[A-Z"a-z].*[.:] .*[A-Z].*\.$/s.test(error.message))
    throw new Error(`no advice in "${error.message}"`);
  return error;
}

export async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
