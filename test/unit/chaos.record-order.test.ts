// The check that some order of single steps explains the answers about a record: what the life of a record can be, and
// each way to contradict it.
import { describe, expect, test } from 'vitest';
import { checkRecordOrder } from '../chaos/checker/record-order.ts';
import { Run } from '../chaos/checker/recorded-run.ts';
import type { Event } from '../chaos/history.ts';
import { call, fault, operationCall, record, reign, runBegan } from '../support/chaos-events.ts';

const UNKNOWN = Number.POSITIVE_INFINITY;
const check = (...events: Event[][]) => checkRecordOrder(new Run(events.flat()));
const judge = (...events: Event[][]) => check(...events).violations;

let now = 0;
/** The next call, after all earlier ones. */
function next(rpc: string, shown: string, request = {}): Event[] {
  now += 2;
  return operationCall(rpc, now, now + 1, shown, request);
}
/** Like next, but nobody saw its end. */
function lost(rpc: string, request = {}): Event[] {
  now += 2;
  return operationCall(rpc, now, UNKNOWN, '', request);
}
function claim(shown: string, claimId: string): Event[] {
  now += 2;
  const asked = { operation: { resource: '', operationId: '', claimId } };
  return call('ClaimOperations', now, now + 1, { asked, operation: { ...record(shown), resource: 'r' } });
}
function lostClaim(claimId: string): Event[] {
  now += 2;
  return call('ClaimOperations', now, UNKNOWN, {
    asked: { operation: { resource: '', operationId: '', claimId } },
  });
}
const begin = () => next('BeginOperation', 'PENDING 1 0');
const update = (shown: string, claimId: string, value: string, requestId?: string) =>
  next('UpdateOperation', shown, { claimId, value, ...(requestId !== undefined && { requestId }) });
const get = (shown: string) => next('GetOperation', shown);

describe('a whole life', () => {
  test('the whole life of a record passes', () => {
    const { violations, undecided, counts } = check(
      next('GetOperation', 'ABSENT'),
      begin(),
      claim('RUNNING 2 1', 'a'),
      update('RUNNING 3 1 one', 'a', 'one', 'q1'),
      get('RUNNING 3 1 one'),
      next('YieldOperation', 'PENDING 4 1 one', { claimId: 'a', requestId: 'q2' }),
      claim('RUNNING 5 2 one', 'b'),
      next('CancelOperation', 'RUNNING 6 2 one', { requestId: 'q3' }),
      next('CompleteOperation', 'FAILED 7 2', { claimId: 'b', requestId: 'q4' }),
      next('RetryOperation', 'PENDING 8 2', { requestId: 'q5' }),
      claim('RUNNING 9 3', 'c'),
      next('CompleteOperation', 'SUCCEEDED 10 3 done', { claimId: 'c', value: 'done', requestId: 'q6' }),
      get('SUCCEEDED 10 3 done'),
    );
    expect({ violations, undecided }).toEqual({ violations: [], undecided: [] });
    expect(counts['records judged']).toBe(1);
  });

  test('a begin with a claim_id passes if its repeat answers with the same attempt', () => {
    const asked = { claimId: 'a' };
    const begun = () => next('BeginOperation', 'RUNNING 1 1', asked);
    expect(judge(begun(), begun(), update('RUNNING 2 1 x', 'a', 'x'))).toEqual([]);
    expect(judge(begun(), next('BeginOperation', 'RUNNING 2 2', asked))).toHaveLength(1);
  });

  test('a stale attempt that another claim takes over passes', () => {
    expect(judge(begin(), claim('RUNNING 2 1', 'a'), claim('RUNNING 3 2', 'b'))).toEqual([]);
  });

  test('an operation that is given up at any moment passes', () => {
    expect(judge(begin(), get('DEAD 2 0'))).toEqual([]);
    expect(judge(begin(), claim('RUNNING 2 1', 'a'), get('DEAD 3 1'), get('RUNNING 3 1'))).toHaveLength(1);
  });

  test('a record that shows its result while it has ended, and its progress again after a retry, passes', () => {
    const failed = () => [
      begin(),
      claim('RUNNING 2 1', 'a'),
      update('RUNNING 3 1 x', 'a', 'x'),
      next('CompleteOperation', 'FAILED 4 1 why', { claimId: 'a', value: 'why' }),
    ];
    expect(judge(...failed(), next('RetryOperation', 'PENDING 5 1 x'))).toEqual([]);
    expect(judge(...failed(), next('RetryOperation', 'PENDING 5 1 why'))).toHaveLength(1);
    expect(judge(...failed(), get('FAILED 4 1 x'))).toHaveLength(1);
  });

  test('an operation that is deleted and begun again passes', () => {
    const deleted = (was: boolean): Event[] => {
      now += 2;
      const asked = { operation: { resource: 'r', operationId: 'o' } };
      return call('DeleteOperation', now, now + 1, { asked, said: { deleted: was } });
    };
    expect(judge(begin(), deleted(true), deleted(false), get('ABSENT'), begin())).toEqual([]);
    // It may be the answer to a repeat, which found that the first try had removed it.
    expect(judge(begin(), deleted(false), get('ABSENT'))).toEqual([]);
    expect(judge(begin(), deleted(false), get('PENDING 1 0'))).toHaveLength(1);
    expect(judge(begin(), deleted(true), deleted(true))).toHaveLength(1);
  });
});

describe('no order explains', () => {
  test('a version that was skipped or stood still is a violation', () => {
    expect(judge(begin(), claim('RUNNING 3 1', 'a'))).toHaveLength(1);
    expect(judge(begin(), claim('RUNNING 2 1', 'a'), update('RUNNING 4 1 x', 'a', 'x'))).toHaveLength(1);
    expect(judge(begin(), claim('RUNNING 2 1', 'a'), update('RUNNING 2 1 x', 'a', 'x'))).toHaveLength(1);
  });

  test('two claims that get one attempt are a violation', () => {
    expect(judge(begin(), claim('RUNNING 2 1', 'a'), claim('RUNNING 2 1', 'b'))).toHaveLength(1);
  });

  test('one claim that gets two attempts is a violation', () => {
    expect(judge(begin(), claim('RUNNING 2 1', 'a'), claim('RUNNING 3 2', 'a'))).toHaveLength(1);
  });

  test('a write of the former worker after the next attempt has begun is a violation', () => {
    const [one, two] = [claim('RUNNING 2 1', 'a'), claim('RUNNING 3 2', 'b')];
    expect(judge(begin(), one, two, update('RUNNING 4 2 x', 'a', 'x'))).toHaveLength(1);
  });

  test('another value, attempt, token or state than was written is a violation', () => {
    const running = () => [begin(), claim('RUNNING 2 1', 'a'), update('RUNNING 3 1 x', 'a', 'x')];
    expect(judge(...running(), get('RUNNING 3 1 y'))).toHaveLength(1);
    expect(judge(...running(), get('RUNNING 3 2 x'))).toHaveLength(1);
    expect(judge(...running(), get('PENDING 3 1 x'))).toHaveLength(1);
    const token = (number: string): Event[] => {
      now += 2;
      return operationCall(
        'GetOperation',
        now,
        now + 1,
        '',
        {},
        {
          outcome: 'ok',
          operation: { ...record('RUNNING 3 1 x'), token: number },
        },
      );
    };
    expect(judge(...running(), token('7'), token('7'))).toEqual([]);
    expect(judge(...running(), token('7'), token('8'))).toHaveLength(1);
  });

  test('a write that names an older version than the record has is a violation', () => {
    const running = () => [begin(), claim('RUNNING 2 1', 'a')];
    const cas = (ifVersion: string) =>
      next('UpdateOperation', 'RUNNING 3 1 x', { claimId: 'a', value: 'x', ifVersion });
    expect(judge(...running(), cas('2'))).toEqual([]);
    expect(judge(...running(), cas('1'))).toHaveLength(1);
  });

  test('a completed record that goes on is a violation', () => {
    const done = [
      begin(),
      claim('RUNNING 2 1', 'a'),
      next('CompleteOperation', 'SUCCEEDED 3 1', { claimId: 'a' }),
    ];
    expect(judge(...done, claim('RUNNING 4 2', 'b'))).toHaveLength(1);
  });

  test('an answer that there is no record, after the record was begun, is a violation', () => {
    const none = operationCall('GetOperation', 500, 501, 'ABSENT', {}, { outcome: 'failed' });
    expect(judge(operationCall('BeginOperation', 490, 491, 'PENDING 1 0'), none)).toHaveLength(1);
  });

  test('a violation tells the answer with which it began, and the answers before', () => {
    const [violation] = judge(begin(), get('PENDING 3 0'), get('PENDING 3 0'));
    expect(violation?.atMs).toBe((now - 1) * 1_000);
    expect(violation?.text).toMatch(/BeginOperation .* showed PENDING v1.*GetOperation .* showed PENDING v3/);
  });
});

describe('a repeat', () => {
  test('a repeat of a request that took effect has no second effect', () => {
    const running = () => [begin(), claim('RUNNING 2 1', 'a'), update('RUNNING 3 1 x', 'a', 'x', 'q')];
    expect(judge(...running(), update('RUNNING 3 1 x', 'a', 'x', 'q'))).toEqual([]);
    expect(judge(...running(), update('RUNNING 4 1 x', 'a', 'x', 'q'))).toHaveLength(1);
    const between = () => update('RUNNING 4 1 y', 'a', 'y', 'q2');
    expect(judge(...running(), between(), update('RUNNING 4 1 y', 'a', 'x', 'q'))).toEqual([]);
    expect(judge(...running(), between(), update('RUNNING 5 1 x', 'a', 'x', 'q'))).toHaveLength(1);
  });

  test('a repeat of a request with an unknown outcome has one effect in all', () => {
    const running = () => [begin(), claim('RUNNING 2 1', 'a')];
    const write = { claimId: 'a', value: 'x', requestId: 'q' };
    expect(
      judge(...running(), lost('UpdateOperation', write), update('RUNNING 3 1 x', 'a', 'x', 'q')),
    ).toEqual([]);
    const twice = [lost('UpdateOperation', write), update('RUNNING 4 1 x', 'a', 'x', 'q')];
    expect(judge(...running(), ...twice)).toHaveLength(1);
  });

  test('a repeat of a claim whose first answer was lost answers with what the first had claimed', () => {
    const begun = begin();
    const first = lostClaim('a');
    const read = get('RUNNING 2 1');
    expect(judge(begun, first, read, claim('RUNNING 2 1', 'a'))).toEqual([]);
  });
});

describe('an unknown outcome', () => {
  test('the effect of a write with an unknown outcome shows later, or never', () => {
    const running = () => [
      begin(),
      claim('RUNNING 2 1', 'a'),
      lost('UpdateOperation', { claimId: 'a', value: 'x' }),
    ];
    expect(judge(...running(), get('RUNNING 2 1'), get('RUNNING 3 1 x'))).toEqual([]);
    expect(judge(...running(), get('RUNNING 2 1'), get('RUNNING 2 1'))).toEqual([]);
    expect(judge(...running(), get('RUNNING 3 1 x'), get('RUNNING 2 1'))).toHaveLength(1);
  });

  test('each claim whose answer was never seen may have taken the record once, and given it back', () => {
    const begun = begin();
    const unseen = lostClaim('a');
    expect(judge(begun, unseen, get('RUNNING 2 1'), get('PENDING 3 1'), claim('RUNNING 4 2', 'b'))).toEqual(
      [],
    );
    expect(judge(begin(), unseen, claim('RUNNING 4 2', 'b'))).toEqual([]);
    expect(judge(begin(), unseen, claim('RUNNING 6 3', 'b'))).toHaveLength(1);
    expect(judge(begin(), claim('RUNNING 4 2', 'b'), lostClaim('c'))).toHaveLength(1);
  });

  test('a claim whose first answer was never seen shows what has become of its attempt when it is repeated', () => {
    const seen = () => [begin(), lostClaim('a'), get('RUNNING 2 1'), next('CancelOperation', 'RUNNING 3 1')];
    expect(judge(...seen(), claim('RUNNING 3 1', 'a'))).toEqual([]);
    expect(judge(...seen(), claim('RUNNING 3 1', 'b'))).toHaveLength(1);
    expect(judge(...seen(), claim('RUNNING 4 2', 'b'))).toEqual([]);
  });

  test('a claim that was tried several times in one call shows what has become of its attempt since the first try', () => {
    const during = (): Event[][] => {
      const fromS = now + 4;
      const asked = { operation: { resource: '', operationId: '', claimId: 'a' } };
      const answer = { asked, operation: { ...record('RUNNING 3 1'), resource: 'r' } };
      const events = [begin(), next('CancelOperation', 'RUNNING 3 1')];
      now += 4;
      return [...events, call('ClaimOperations', fromS - 1, now, answer)];
    };
    expect(judge(...during())).toHaveLength(1);
    const events = during();
    expect(judge(...events, fault(now - 6, now - 2, ['server-1']))).toEqual([]);
  });

  test('a completion with an unknown outcome leaves open how the operation ended', () => {
    const done = () => [begin(), claim('RUNNING 2 1', 'a'), lost('CompleteOperation', { claimId: 'a' })];
    expect(judge(...done(), get('CANCELLED 3 1'))).toEqual([]);
    expect(judge(...done(), get('SUCCEEDED 3 1'), get('FAILED 3 1'))).toHaveLength(1);
  });
});

test('an unknown outcome whose last try was answered is also a read', () => {
  const update = (at: number, shown: string): Event[] =>
    operationCall('UpdateOperation', at, at + 1, shown, { claimId: 'a' }, { outcome: 'unknown' });
  const begun = operationCall('BeginOperation', 600, 601, 'RUNNING 1 1', { claimId: 'a' });
  expect(judge(begun, update(602, ''))).toEqual([]);
  expect(judge(begun, update(602, 'ABSENT'))).toHaveLength(1);
  // It may also have done what the read shows.
  const pending = operationCall('BeginOperation', 600, 601, 'PENDING 1 0');
  const removed = operationCall('DeleteOperation', 602, 603, 'ABSENT', {}, { outcome: 'unknown' });
  expect(judge(pending, removed)).toEqual([]);
});

test('the record that an error shows is a read, whatever the call asked', () => {
  const refused = operationCall(
    'UpdateOperation',
    610,
    611,
    'ABSENT',
    { claimId: 'a' },
    { outcome: 'failed' },
  );
  expect(judge(refused)).toEqual([]);
  expect(judge(refused, operationCall('BeginOperation', 600, 601, 'PENDING 1 0'))).toHaveLength(1);
});

test('a claim during a fault may have taken another record too, and given it back', () => {
  const asked = { operation: { resource: '', operationId: '', claimId: 'c' } };
  const answer = { ...record('RUNNING 2 1'), resource: 'other' };
  const other = operationCall('BeginOperation', 602, 603, 'PENDING 1 0', { resource: 'other' });
  const claimed = call('ClaimOperations', 605, 606, { asked, operation: answer });
  const begun = operationCall('BeginOperation', 602, 603, 'PENDING 1 0');
  const events = [other, claimed, begun, operationCall('GetOperation', 608, 609, 'PENDING 3 1')];
  expect(judge(...events, fault(595, 600, ['server-1']))).toEqual([]);
  expect(judge(...events)).toMatchObject([{ text: expect.stringMatching(/^r\/o: /) }]);
});

describe('a failover that may have lost', () => {
  const at = (from: number, rpc: string, shown: string, request = {}): Event[] =>
    operationCall(rpc, from, from + 1, shown, request);
  const before = [
    at(1, 'BeginOperation', 'RUNNING 1 1', { claimId: 'a' }),
    at(3, 'UpdateOperation', 'RUNNING 2 1 x', { claimId: 'a', value: 'x', requestId: 'q' }),
  ];
  const switched = [[runBegan(), reign(0, 'a'), reign(23, 'b')], fault(20, 30, ['node-1'])];
  const second = fault(19, 30, ['node-2']);

  test('a failover that may have lost writes splits the history', () => {
    const after = [
      at(30, 'GetOperation', 'RUNNING 1 1'),
      at(32, 'UpdateOperation', 'RUNNING 2 1 y', { claimId: 'a', value: 'y' }),
    ];
    expect(judge(...switched, second, ...before, ...after)).toEqual([]);
    expect(judge(...switched, ...before, ...after)).toHaveLength(1);
  });

  test('each part of a history that a failover splits is judged', () => {
    const wrong = [at(30, 'GetOperation', 'RUNNING 1 1'), at(32, 'GetOperation', 'RUNNING 2 1 z')];
    expect(judge(...switched, second, ...before, ...wrong)).toHaveLength(1);
    expect(judge(...switched, second, ...before, at(5, 'GetOperation', 'RUNNING 1 1'))).toHaveLength(1);
  });

  test('a call that overlaps a failover need not fit into either part', () => {
    const around = at(22, 'GetOperation', 'PENDING 9 9');
    expect(judge(...switched, second, ...before, around)).toEqual([]);
    expect(judge(...switched, ...before, around)).toHaveLength(1);
  });

  test('a request from before a failover may have taken effect, or be lost', () => {
    const other = { claimId: 'a', value: 'y', requestId: 'q2' };
    const moved = at(5, 'UpdateOperation', 'RUNNING 3 1 y', other);
    const repeat = (shown: string) =>
      at(32, 'UpdateOperation', shown, { claimId: 'a', value: 'x', requestId: 'q' });
    const kept = [at(30, 'GetOperation', 'RUNNING 3 1 y'), repeat('RUNNING 3 1 y')];
    expect(judge(...switched, second, ...before, moved, ...kept)).toEqual([]);
    const lost = [at(30, 'GetOperation', 'RUNNING 1 1'), repeat('RUNNING 2 1 x')];
    expect(judge(...switched, second, ...before, moved, ...lost)).toEqual([]);
    const neither = [at(30, 'GetOperation', 'RUNNING 3 1 y'), repeat('RUNNING 5 1 x')];
    expect(judge(...switched, second, ...before, moved, ...neither)).toHaveLength(1);
  });
});

test('a record with too many calls is undecided, not passed', () => {
  const calls = Array.from({ length: 2_001 }, (_, index) =>
    operationCall('GetOperation', index, index + 0.5, 'ABSENT'),
  );
  const { violations, undecided, counts } = check(...calls);
  expect(violations).toEqual([]);
  expect(undecided).toHaveLength(1);
  expect(counts['records judged']).toBeUndefined();
});

// The first try began it, its reply was lost, another client claimed it, and the second try was told so.
describe('a call that took effect before it was answered', () => {
  const within = (fromS: number, toS: number): Event[][] => [
    operationCall('BeginOperation', fromS, toS, 'RUNNING 2 1'),
    call('ClaimOperations', fromS + 0.2, fromS + 0.4, {
      asked: { operation: { resource: '', operationId: '', claimId: 'a' } },
      operation: { ...record('RUNNING 2 1'), resource: 'r' },
    }),
  ];

  test('a call that took effect before it was answered may have been tried twice if it took long or connections broke', () => {
    expect(judge(...within(1, 4))).toEqual([]);
    expect(judge(fault(1, 2, ['server-1']), ...within(1, 1.9))).toEqual([]);
  });

  test('a call that nothing delayed was not tried twice', () => {
    expect(judge(...within(1, 1.9))).toHaveLength(1);
  });
});
