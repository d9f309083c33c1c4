// What a load makes the machines do each second: calls and renewals, and the CPU, bytes and growth of the append-only
// file that they cost. Owns the sums; the price of each call is in unit-figures.ts.

import {
  type Load,
  looksPerSecond,
  renewCallsPerSecond,
  streamRenewalsPerSecond,
  takeOversPerSecond,
} from './load.ts';
import { batchOf, type CallCost, type CallKind, type UnitFigures } from './unit-costs.ts';

export interface Traffic {
  /** Calls of clients a second, by kind; a `waited` one is a whole cycle. */
  readonly calls: Readonly<Record<CallKind, number>>;
  readonly streamRenewals: number;
  /** How many of them share a batch. */
  readonly batch: number;
  /** Everything together, a second. */
  readonly cost: CallCost;
}

const NOTHING: CallCost = {
  serverCpuUs: 0,
  redisCpuUs: 0,
  redisInBytes: 0,
  redisOutBytes: 0,
  replicationBytes: 0,
  aofBytes: 0,
};
/** Payloads are kept as base64. */
const BASE64 = 4 / 3;

/** @param processes the server processes over which the load is spread. */
export function trafficOf(load: Load, figures: UnitFigures, processes: number): Traffic {
  const { ratePerSecond, waitedShare, operationsPerSecond, waiters } = load;
  const atOnce = ratePerSecond * (1 - waitedShare);
  const calls: Record<CallKind, number> = {
    acquire: atOnce,
    release: atOnce,
    waited: ratePerSecond * waitedShare,
    renew: renewCallsPerSecond(load),
    record: operationsPerSecond,
    claim: operationsPerSecond,
    update: operationsPerSecond,
    complete: operationsPerSecond,
  };
  const streamRenewals = streamRenewalsPerSecond(load);
  const batch = batchOf(streamRenewals / Math.max(processes, 1));
  const parts: [CallCost, number][] = [
    ...CALL_KINDS.map((kind): [CallCost, number] => [figures.calls[kind], calls[kind]]),
    [figures.renewal, streamRenewals],
    [figures.renewalBatch, streamRenewals / batch],
    [figures.look, looksPerSecond(load)],
    [figures.takeOver, takeOversPerSecond(load)],
    [figures.idle, processes],
    [figures.waiting, waiters],
    // Each payload is written once, and read by those who claim.
    [payloadCost(load.payloadBytes), operationsPerSecond],
  ];
  const cost = parts.reduce((sum, [each, count]) => plus(sum, each, count), NOTHING);
  return { calls, streamRenewals, batch, cost };
}

export const CALL_KINDS: readonly CallKind[] = [
  'acquire',
  'renew',
  'release',
  'waited',
  'record',
  'claim',
  'update',
  'complete',
];

/** The bytes of a payload that are on the way; their CPU is small beside that of the calls. */
function payloadCost(payloadBytes: number): CallCost {
  const bytes = payloadBytes * BASE64;
  return { ...NOTHING, redisInBytes: bytes, redisOutBytes: bytes, replicationBytes: bytes, aofBytes: bytes };
}

function plus(sum: CallCost, each: CallCost, count: number): CallCost {
  return {
    serverCpuUs: sum.serverCpuUs + each.serverCpuUs * count,
    redisCpuUs: sum.redisCpuUs + each.redisCpuUs * count,
    redisInBytes: sum.redisInBytes + each.redisInBytes * count,
    redisOutBytes: sum.redisOutBytes + each.redisOutBytes * count,
    replicationBytes: sum.replicationBytes + each.replicationBytes * count,
    aofBytes: sum.aofBytes + each.aofBytes * count,
  };
}
