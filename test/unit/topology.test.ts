// What several Sentinels together say of a deployment, also when they disagree.
import { expect, test } from 'vitest';
import { type SentinelView, topologyOf } from '../../src/deployment/topology.ts';

const [A, B, C] = [1, 2, 3].map((port) => ({ host: '10.0.0.1', port }));

function row(address: { host: string; port: number } | undefined): ReadonlyMap<string, string> {
  return new Map([
    ['ip', address?.host ?? ''],
    ['port', String(address?.port ?? 0)],
  ]);
}

function view(primary: typeof A, ...replicas: readonly (typeof A)[]): SentinelView {
  const address = { host: 's', port: 26379 };
  return {
    address,
    id: 'x',
    primary: row(primary),
    replicas: replicas.map(row),
    otherSentinels: [],
    refused: new Map(),
  };
}

test('the primary is the node that most Sentinels name, and agreed when a majority of all of them does', () => {
  const silent = { address: { host: 's', port: 26379 }, reason: 'no reply' };
  expect(topologyOf([view(A, B, C), view(A, B), view(B, A)])).toMatchObject({
    primary: A,
    agreedPrimary: A,
    replicas: [B, C],
  });
  expect(topologyOf([view(A, B), silent, silent])).toMatchObject({ primary: A, agreedPrimary: undefined });
  expect(topologyOf([view(A, B), view(A, B), silent]).agreedPrimary).toEqual(A);
  expect(topologyOf([silent, silent])).toMatchObject({ primary: undefined, replicas: [], sentinels: [] });
});

test('a row without an address is no node', () => {
  expect(topologyOf([view(undefined, B, undefined)])).toMatchObject({ primary: undefined, replicas: [B] });
});
