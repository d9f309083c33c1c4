// Which calls are refused when a turn of the event loop goes on for too long, and for how long that lasts.
import { beforeEach, describe, expect, test } from 'vitest';
import { CAN_BE_SHED, LoadShedding } from '../../src/transport/load-shedding.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { rpcPaths } from '../support/rpc-paths.ts';

const ACQUIRE = '/leasehold.v1.LockService/Acquire';
const RENEW = '/leasehold.v1.LockService/Renew';

let clock: ManualClock;
let said: string[];
let shedding: LoadShedding;

beforeEach(() => {
  clock = new ManualClock();
  said = [];
  shedding = new LoadShedding([ACQUIRE, RENEW], clock, {
    canRefuse: () => {},
    onRefused: (rpc) => said.push(`refused ${rpc}`),
    onBegin: () => said.push('begins'),
    onEnd: ({ refused, forMs }) => said.push(`ends after ${refused} in ${forMs} ms`),
  });
});

/** Calls every 5 ms, as long as a turn lasts; says how many were refused. */
function turn(ms: number, path = ACQUIRE): number {
  let refused = shedding.refusalOf(path) ? 1 : 0;
  for (let left = ms; left > 0; left -= 5) {
    clock.advance(5);
    if (shedding.refusalOf(path)) refused++;
  }
  return refused;
}

async function next(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('load shedding', () => {
  test('a turn of less than 200 ms refuses nothing, however many follow each other', async () => {
    for (let turns = 0; turns < 20; turns++) {
      expect(turn(190)).toBe(0);
      await next();
    }
    expect(said).toEqual([]);
  });

  test('a turn of 200 ms begins it, and then each turn takes calls for 10 ms', async () => {
    expect(turn(200)).toBe(1);
    await next();
    expect(turn(20)).toBe(3); // after 10, 15 and 20 ms
    await next();
    expect(turn(5)).toBe(0);
    expect(said.filter((one) => one === 'begins')).toHaveLength(1);
  });

  test('what keeps or ends a lease gets through in the longest turn', async () => {
    expect(turn(1_000, RENEW)).toBe(0);
    expect(turn(1_000, RENEW)).toBe(0);
    expect(shedding.refusalOf(ACQUIRE)).toBeDefined();
  });

  test('it ends when nothing was refused for a second, and a long turn begins it again', async () => {
    turn(200);
    await next();
    for (let turns = 0; turns < 11; turns++) {
      clock.advance(95);
      expect(turn(5)).toBe(0);
      await next();
    }
    expect(said).toEqual(['begins', 'refused Acquire', 'ends after 1 in 1000 ms']);
    expect(turn(190)).toBe(0);
    await next();
    expect(turn(200)).toBe(1);
  });

  test('the refusal says that nothing was changed, and when to ask again', () => {
    turn(300);
    expect(shedding.refusalOf(ACQUIRE)).toMatchObject({
      ':status': 200,
      'grpc-status': '14',
      'grpc-message': 'this server is asked for more than it can do; nothing was changed',
    });
  });

  test('each rpc that can be refused exists, and those that keep or end what is held are not among them', () => {
    const names = rpcPaths().map((path) => path.slice(path.lastIndexOf('/') + 1));
    for (const name of CAN_BE_SHED) expect(names).toContain(name);
    const kept = names.filter((name) => !CAN_BE_SHED.includes(name));
    expect(kept.toSorted()).toEqual(GET_THROUGH.toSorted());
  });
});

const GET_THROUGH = [
  'Hold',
  'Renew',
  'Release',
  'GetServerInfo',
  'KeepAlive',
  'CheckFencingToken',
  'ForceRelease',
  'UpdateOperation',
  'KeepAliveOperation',
  'CompleteOperation',
  'YieldOperation',
  'CancelOperation',
  'DeleteOperation',
];
