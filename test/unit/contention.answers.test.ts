// An answer about contention on its way from the server to a person: what is inexact says so, and what is exact
// doesn't.
import { expect, test } from 'vitest';
import { deadlocksText, topText } from '../../src/cli/contention-actions.ts';
import { contendedOf, deadlocksOf } from '../../src/client/contention-view.ts';
import type { LockView } from '../../src/domain/lock.ts';
import { encodeContendedLocks, encodeDeadlocks } from '../../src/transport/encode-contention.ts';

const view: LockView = {
  resource: 'r',
  holders: [],
  holderCount: 0,
  permitsHeld: 0,
  permitsLimit: 0,
  waiters: [],
  queueLength: 3,
  minHoldRemainingMs: 0,
};
const answer = (waitMs: number, errorMs: number) => {
  const counted = { waits: 5, longestWaitMs: 4_000, holds: 4, holdMs: 6_000 };
  const locks = [{ resource: 'r', lock: view, waitMs, errorMs, ...counted }];
  const coverage = { instances: 3, oldestReportMs: 2_000 };
  return contendedOf(encodeContendedLocks({ locks, windowMs: 330_000, coverage }));
};

test('A time that can be too large reads as a bound, with the error in its own number', () => {
  const inexact = answer(20_000, 5_000);
  expect(inexact).toMatchObject({
    locks: [
      {
        lock: { resource: 'r', waiterCount: 3 },
        totalWaitMs: 20_000,
        waitErrorMs: 5_000,
        waitCount: 5,
        longestWaitMs: 4_000,
        holdCount: 4,
        totalHoldMs: 6_000,
      },
    ],
    windowMs: 330_000,
    serverCount: 3,
    oldestReportMs: 2_000,
  });
  expect(topText(inexact)).toBe(
    [
      'RESOURCE  WAITING  HOLDER  WAITS  WAITED      LONGEST  MEAN HOLD',
      'r         3        -       5      up to 20 s  4 s      2 s',
      '',
      'In the last 5 min 30 s (3 servers, the oldest report 2 s old).',
      '',
    ].join('\n'),
  );
});

test('An exact time reads without a bound, and so does one whose error nobody would notice', () => {
  expect(topText(answer(20_000, 0))).toContain(' 20 s  ');
  expect(topText(answer(20_000, 100))).not.toContain('up to');
  expect(answer(20_000, 0).locks[0]?.waitErrorMs).toBe(0);
});

test('A deadlock reads as a circle, whatever its names try to do to a terminal or a shell', () => {
  const member = (owner: string, holds: string, waitsFor: string, sinceWallMs: number) => ({
    owner,
    holds,
    waitsFor,
    sinceWallMs,
    fencingToken: 7n,
    leaseIdHash: '0123456789ab',
  });
  const deadlock = [member('a\u001b[2J', "it's", 'b', 1_000), member('bob', 'b', "it's", 3_000)];
  const coverage = { instances: 1, oldestReportMs: 0 };
  const found = { deadlocks: [deadlock], nowWallMs: 13_000, isPartial: true, coverage };
  const text = deadlocksText(deadlocksOf(encodeDeadlocks(found)));
  expect(text).toBe(
    [
      'These 2 owners seem to wait for each other:',
      "  a\ufffd[2J holds it's, and has waited 12 s for b (held by bob)",
      "  bob holds b, and has waited 10 s for it's (held by a\ufffd[2J)",
      '  To end it, let one of them give up, bob for example:',
      '    leasehold locks force-release b --fencing-token 7',
      'There were more waits or holders than the servers look at.',
      '',
    ].join('\n'),
  );
  const [first] = deadlock;
  if (!first) throw new Error('there are two');
  const other = [{ ...first, sinceWallMs: 9_000 }, deadlock[1] ?? first];
  expect(deadlocksText(deadlocksOf(encodeDeadlocks({ ...found, deadlocks: [other] })))).toContain(
    "leasehold locks force-release 'it'\\''s' --fencing-token 7",
  );
});
