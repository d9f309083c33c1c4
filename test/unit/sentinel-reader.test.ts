// What the rows of a Sentinel say of the nodes that it knows, and of a failover.
import { expect, test } from 'vitest';
import { flaggedNodes, isFailingOver, type SentinelReading } from '../../src/monitoring/sentinel-reader.ts';

function row(port: number, flags: string): ReadonlyMap<string, string> {
  return new Map([
    ['ip', '10.0.0.1'],
    ['port', String(port)],
    ['flags', flags],
  ]);
}

function reading(primaryFlags: string): SentinelReading {
  const view = {
    address: { host: '10.0.0.9', port: 26379 },
    id: 'x',
    primary: row(1, primaryFlags),
    replicas: [row(2, 'slave,s_down,disconnected'), row(0, 'slave')],
    otherSentinels: [row(3, 'sentinel')],
    refused: new Map(),
  };
  return { view, isQuorumOk: true, isInTilt: false };
}

test('the nodes of a Sentinel are the primary, the replicas and the other Sentinels that have an address', () => {
  expect(flaggedNodes(reading('master'))).toEqual([
    { node: '10.0.0.1:1', flags: ['master'] },
    { node: '10.0.0.1:2', flags: ['slave', 's_down', 'disconnected'] },
    { node: '10.0.0.1:3', flags: ['sentinel'] },
  ]);
});

test('a Sentinel that leads a failover is known by a flag of the primary', () => {
  expect(isFailingOver(reading('master,s_down,o_down,failover_in_progress'))).toBe(true);
  expect(isFailingOver(reading('master,s_down,o_down'))).toBe(false);
});
