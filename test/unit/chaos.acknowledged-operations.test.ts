// The check that acknowledged operations stay: what a later answer may show, and which losses are explained.
import { describe, expect, test } from 'vitest';
import { checkAcknowledgedOperations } from '../chaos/checker/acknowledged-operations.ts';
import { Run } from '../chaos/checker/recorded-run.ts';
import type { Event } from '../chaos/history.ts';
import { call, fault, operationCall, record, reign, runBegan } from '../support/chaos-events.ts';

const check = (...events: Event[]) => checkAcknowledgedOperations(new Run(events));
const completed = operationCall('CompleteOperation', 11, 12, 'SUCCEEDED 5 1');
const get = (from: number, to: number, shown: string): Event[] =>
  operationCall('GetOperation', from, to, shown);
const absent = (from: number, to: number): Event[] =>
  operationCall('GetOperation', from, to, 'ABSENT', {}, { outcome: 'failed', reason: 'OPERATION_NOT_FOUND' });
/** The primary is killed at 20 s, and its successor is reported at 23 s. */
const failover = [reign(0, 'a'), ...fault(20, 30, ['node-1']), reign(23, 'b')];

test('a later read of the same version or a newer one passes', () => {
  const { violations, counts } = check(
    ...completed,
    ...get(13, 14, 'SUCCEEDED 5 1'),
    ...get(15, 16, 'PENDING 6 1'),
  );
  expect(violations).toEqual([]);
  expect(counts['answers about operations']).toBe(3);
});

test('a call that began before the answer may still show the earlier version', () => {
  expect(check(...completed, ...get(11.5, 14, 'RUNNING 4 1')).violations).toEqual([]);
});

test('a later read of an older version is a violation, which is reported once', () => {
  const { violations } = check(...completed, ...get(13, 14, 'RUNNING 4 1'), ...get(15, 16, 'RUNNING 4 1'));
  expect(violations).toHaveLength(1);
  expect(violations[0]?.text).toMatch(/CompleteOperation .* version 5, and later GetOperation .* version 4/);
});

test('a later answer that there is no record is a violation', () => {
  expect(check(...completed, ...absent(13, 14)).violations).toMatchObject([{ atMs: 14_000 }]);
});

test('what a read has shown counts like what a write was answered', () => {
  expect(check(...get(1, 2, 'RUNNING 3 1'), ...get(3, 4, 'RUNNING 2 1')).violations).toHaveLength(1);
});

test('a page of a list and the find of a claim count for their records', () => {
  const found = [{ ...record('RUNNING 4 1'), resource: 'r' }];
  const list = (asked: object) => call('ListOperations', 13, 14, { asked, operations: found });
  expect(
    check(...completed, ...list({ operation: { resource: '', operationId: '' } })).violations,
  ).toHaveLength(1);
  const claim = { asked: { operation: { resource: '', operationId: '', claimId: 'c' } }, operations: found };
  const claimed = call('ClaimOperations', 1, 2, claim);
  expect(check(...claimed, ...get(3, 4, 'PENDING 3 0')).violations).toHaveLength(1);
});

test('versions are compared as numbers', () => {
  expect(check(...get(1, 2, 'RUNNING 9 1'), ...get(3, 4, 'RUNNING 10 1')).violations).toEqual([]);
});

test('after a deletion, known or not, there may be no record, or a new one from its beginning', () => {
  const deleted = operationCall('DeleteOperation', 13, 14, 'ABSENT', {}, { said: { deleted: true } });
  expect(
    check(...completed, ...deleted, ...absent(15, 16), ...get(17, 18, 'PENDING 1 0')).violations,
  ).toEqual([]);
  const unknown = operationCall('DeleteOperation', 13, Number.POSITIVE_INFINITY, '');
  expect(check(...completed, ...unknown, ...absent(15, 16)).violations).toEqual([]);
  const refused = operationCall('DeleteOperation', 13, 14, '', {}, { outcome: 'failed' });
  expect(check(...completed, ...refused, ...absent(15, 16)).violations).toHaveLength(1);
});

describe('a loss in a failover', () => {
  test('a loss in a failover of one node is a violation, which is reported with both reigns', () => {
    const { violations } = check(runBegan(), ...failover, ...completed, ...absent(25, 26));
    expect(violations).toHaveLength(1);
    expect(violations[0]?.text).toContain('(reigns a and b)');
  });

  test('a loss is explained where a replica was struck too, and is counted once', () => {
    const second = fault(15, 17, ['node-2'], { fault: 'pause' });
    const lost = check(
      runBegan(),
      ...failover,
      ...second,
      ...completed,
      ...absent(25, 26),
      ...absent(27, 28),
    );
    expect(lost.violations).toEqual([]);
    expect(lost.counts['explained losses']).toBe(1);
  });

  test('a loss is not explained by a second fault long before or after, on the same node, or on no node', () => {
    const unexplained = [
      fault(1, 5, ['node-2']),
      fault(24, 26, ['node-2']),
      fault(21, 22, ['node-1']),
      fault(19, 40, ['server-1', 'client-2']),
    ];
    for (const second of unexplained) {
      const lost = check(runBegan(), ...failover, ...second, ...completed, ...absent(25, 26));
      expect(lost.violations).toHaveLength(1);
    }
  });

  test('a loss is not explained by faults on two nodes where two replicas had to acknowledge', () => {
    const second = fault(15, 30, ['node-2']);
    const events = [...failover, ...second, ...completed, ...absent(25, 26)];
    expect(check(runBegan({ minAcks: 2 }), ...events).violations).toHaveLength(1);
    expect(check(runBegan({ minAcks: 2 }), ...events, ...fault(19, 30, ['node-3'])).violations).toEqual([]);
  });

  test('a loss is explained by any new reign where no replica had to acknowledge, and by a fault that may lose writes', () => {
    expect(check(runBegan({ minAcks: 0 }), ...failover, ...completed, ...absent(25, 26)).violations).toEqual(
      [],
    );
    const cut = [reign(0, 'a'), ...fault(20, 30, ['network'], { fault: 'cut' }), reign(23, 'b')];
    expect(check(runBegan({ minAcks: 0 }), ...cut, ...completed, ...absent(25, 26)).violations).toEqual([]);
    const emptied = fault(19, 30, ['node-1'], { fault: 'restart-empty', mayLose: true });
    expect(check(runBegan(), ...failover, ...emptied, ...completed, ...absent(25, 26)).violations).toEqual(
      [],
    );
  });

  test('a loss is not explained by a new reign before the answer or after the loss', () => {
    const second = fault(15, 17, ['node-2']);
    const after = operationCall('CompleteOperation', 27, 28, 'SUCCEEDED 5 1');
    expect(check(runBegan(), ...failover, ...second, ...after, ...absent(29, 30)).violations).toHaveLength(1);
    expect(
      check(runBegan(), ...failover, ...second, ...completed, ...absent(13, 14)).violations,
    ).toHaveLength(1);
  });

  test('an operation that is acknowledged after a loss has to stay again', () => {
    const second = fault(15, 17, ['node-2']);
    const again = operationCall('BeginOperation', 27, 28, 'PENDING 1 0');
    const lost = check(
      ...[runBegan(), ...failover, ...second, ...completed, ...absent(25, 26)],
      ...again,
      ...absent(29, 30),
    );
    expect(lost.violations).toHaveLength(1);
    expect(lost.counts['explained losses']).toBe(1);
  });
});
