// The room of waiting claims under a clock that the test moves and a store that answers as the test says: which claim
// asks, when, and what happens to work that was claimed for nobody.

import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { CoordinationError } from '../../src/domain/errors.ts';
import type { Attempt, Operation } from '../../src/domain/operation.ts';
import { ClaimRoom } from '../../src/service/claim-room.ts';
import type {
  ClaimCommand,
  ClaimedOperation,
  ClaimOutcome,
  OperationNotice,
  OperationStore,
  YieldCommand,
} from '../../src/store/operation-store.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** The caller makes no difference here. */
const NOBODY = { caller: { name: '', role: 'client' as const }, peer: '' };

type Answer = (command: ClaimCommand) => ClaimOutcome | Promise<ClaimOutcome>;

let clock: ManualClock;
let asked: ClaimCommand[];
let yielded: YieldCommand[];
let answer: Answer;
let notify: (notice: OperationNotice) => void;
let listening: number;
let room: ClaimRoom;
let calls: number;
/** What the room counted: its words, one for each event. */
let counted: string[];

const nothing = (
  askAgainInMs = Number.POSITIVE_INFINITY,
  blockedOn: readonly string[] = [],
): ClaimOutcome => {
  return { kind: 'claimed', claimed: [], isRepeat: false, askAgainInMs, blockedOn };
};

function work({ claimId }: ClaimCommand, operationId = 'o', isRepeat = false): ClaimOutcome {
  const operation = { resource: 'r', operationId, type: 't' } as Operation; // the room looks at nothing else
  const attempt = { claimId, fencingToken: 7n } as Attempt; // nor at more of this
  const claimed: readonly ClaimedOperation[] = [
    { operation, attempt, taken: isRepeat ? undefined : { was: 'pending', waitedMs: 5 } },
  ];
  return { kind: 'claimed', claimed, isRepeat, askAgainInMs: Number.POSITIVE_INFINITY, blockedOn: [] };
}

beforeEach(() => {
  clock = new ManualClock();
  asked = [];
  yielded = [];
  calls = 0;
  counted = [];
  listening = 0;
  answer = () => nothing();
  notify = () => {};
  const store: Pick<OperationStore, 'claim' | 'yield' | 'watchChanges'> = {
    async claim(command) {
      asked.push(command);
      return answer(command);
    },
    async yield(command) {
      yielded.push(command);
      return { kind: 'changed', operation: { type: 't' } as Operation, isNew: true }; // it looks at nothing else
    },
    watchChanges(listener) {
      listening++;
      notify = listener;
      return () => {
        listening--;
      };
    },
  };
  room = new ClaimRoom({
    store: store as OperationStore, // the room calls nothing else
    clock,
    observer: {
      begun: () => {},
      ran: () => {},
      ended: () => {},
      taken: (type, { was, waitedMs }) => void counted.push(`${was} ${type} ${waitedMs}`),
      retried: (type) => void counted.push(`retried ${type}`),
    },
    random: () => 0.5,
    commandTimeoutMs: 1_000,
  });
});

interface Caller {
  readonly claimId: string;
  readonly told: Promise<string>;
  readonly leave: () => void;
  settled: string | undefined;
}

function claim({
  types = ['t'],
  prefix = '',
  waitMs = 60_000,
  deadlineMs = Number.POSITIVE_INFINITY,
} = {}): Caller {
  const ended = new AbortController();
  calls += 2;
  const command: ClaimCommand = {
    types,
    resourcePrefix: prefix,
    claimId: randomUUID(),
    owner: '',
    stamp: { instanceId: 'i', callNumber: calls },
    most: 1,
  };
  const context = { arrivedAtMs: clock.monotonicMs(), deadlineMs, ended: ended.signal, ...NOBODY };
  const told = room.claim(command, waitMs, context).then(
    (claimed) => claimed.map(({ operation }) => operation.operationId).join(),
    (error: unknown) => (error instanceof CoordinationError ? error.code : String(error)),
  );
  const caller: Caller = { claimId: command.claimId, told, leave: () => ended.abort(), settled: undefined };
  void told.then((outcome) => {
    caller.settled = outcome;
  });
  return caller;
}

const settledOf = (callers: readonly Caller[]): (string | undefined)[] =>
  callers.map(({ settled }) => settled);

describe('who asks', () => {
  test('a claim whose own attempt waits for the full end of a quarantine keeps no other one from being asked', async () => {
    const [own, other] = [claim(), claim()];
    await clock.pass(10);
    answer = (command) =>
      command.claimId === own.claimId ? { kind: 'quarantined', retryAfterMs: 30_000 } : work(command);
    notify({ kind: 'claimable', type: 't' });
    await clock.pass(10);
    await clock.pass(10_000);
    expect(settledOf([own, other])).toEqual([undefined, 'o']);
  });

  test('a claim that repeats what is over keeps no other one from being asked', async () => {
    const [own, other] = [claim(), claim()];
    await clock.pass(10);
    answer = (command) =>
      command.claimId === own.claimId ? { ...nothing(), isRepeat: true } : work(command);
    notify({ kind: 'claimable', type: 't' });
    await clock.pass(10);
    await clock.pass(10_000);
    expect(settledOf([own, other])).toEqual([undefined, 'o']);
  });

  test('each claim asks once when it comes; then one asks for a notice, and the next only if that one found something', async () => {
    const callers = Array.from({ length: 50 }, () => claim());
    await clock.pass(10);
    expect(asked).toHaveLength(50);
    asked = [];
    notify({ kind: 'claimable', type: 't' });
    await clock.pass(10);
    expect(asked.map(({ claimId }) => claimId)).toEqual([callers[0]?.claimId]);
    asked = [];
    let left = 2;
    answer = (command) => (left-- > 0 ? work(command) : nothing());
    notify({ kind: 'claimable', type: 't' });
    await clock.pass(10);
    expect(asked.map(({ claimId }) => claimId)).toEqual(callers.slice(0, 3).map(({ claimId }) => claimId));
    expect(settledOf(callers).slice(0, 4)).toEqual(['o', 'o', undefined, undefined]);
    expect(room.size).toBe(48);
  });

  test('a notice leaves claims of another type alone, and makes claims of another prefix ask', async () => {
    claim({ types: ['other'] });
    const [a, b] = [claim({ prefix: 'a' }), claim({ types: ['x', 't'], prefix: 'b' })];
    await clock.pass(10);
    asked = [];
    notify({ kind: 'claimable', type: 't' });
    await clock.pass(10);
    expect(asked.map(({ claimId }) => claimId)).toEqual([a.claimId, b.claimId]);
  });

  test('a notice that comes while a question is on its way is not lost', async () => {
    const held = Promise.withResolvers<ClaimOutcome>();
    answer = () => held.promise;
    const caller = claim();
    await clock.pass(1);
    notify({ kind: 'claimable', type: 't' }); // after the store looked, before its answer
    answer = (command) => work(command);
    held.resolve(nothing());
    await clock.pass(10);
    expect(caller.settled).toBe('o');
  });

  test('a claim asks again when the lock that stood in its way changes, when the store said so, and after a gap', async () => {
    answer = () => nothing(5_000, ['r1']);
    claim();
    await clock.pass(10);
    const steps: (readonly [() => unknown, number])[] = [
      [() => notify({ kind: 'lock-changed', resource: 'r2' }), 0],
      [() => notify({ kind: 'lock-changed', resource: 'r1' }), 1],
      [() => clock.pass(4_000), 0],
      [() => clock.pass(1_100), 1],
      [() => notify({ kind: 'resync' }), 1],
    ];
    for (const [step, times] of steps) {
      asked = [];
      await step();
      await clock.pass(10);
      expect(asked).toHaveLength(times);
    }
  });

  test('a claim asks twice a second at most, however soon the store thinks that something may change by itself', async () => {
    answer = () => nothing(10);
    claim();
    claim();
    await clock.pass(10);
    asked = [];
    await clock.pass(5_000);
    expect(asked).toHaveLength(10);
    notify({ kind: 'claimable', type: 't' });
    await clock.pass(1);
    expect(asked).toHaveLength(11);
  });

  test('the room stops listening when nobody has waited for a while', async () => {
    const caller = claim({ waitMs: 100 });
    await clock.pass(200);
    expect([caller.settled, listening]).toEqual(['', 1]);
    await clock.pass(20_000);
    expect([listening, clock.timers]).toEqual([0, 0]);
  });
});

describe('ends', () => {
  test('a wait ends with nothing when its time is over, and before the deadline of its client', async () => {
    const [short, late] = [claim({ waitMs: 500 }), claim({ deadlineMs: clock.monotonicMs() + 1_000 })];
    await clock.pass(510);
    expect(short.settled).toBe('');
    await clock.pass(380);
    expect(late.settled).toBeUndefined();
    await clock.pass(30);
    expect(late.settled).toBe('');
  });

  test('a claim gets what its last question finds although its time is over', async () => {
    const held = Promise.withResolvers<ClaimOutcome>();
    answer = () => held.promise;
    const caller = claim({ waitMs: 500 });
    await clock.pass(600);
    expect(caller.settled).toBeUndefined();
    held.resolve(work(asked[0] as ClaimCommand)); // it has asked
    await clock.pass(1);
    expect([caller.settled, yielded]).toEqual(['o', []]);
  });

  test('a drain ends the claims that wait, and refuses those that come', async () => {
    const caller = claim();
    await clock.pass(10);
    room.drain();
    const later = claim();
    await clock.pass(10);
    expect(settledOf([caller, later])).toEqual(['DRAINING', 'DRAINING']);
  });

  test('a claim waits for the end of a quarantine; with too little time, or without a wait, it throws QUARANTINE', async () => {
    const endMs = clock.monotonicMs() + 5_000;
    answer = (command) => {
      const leftMs = endMs - clock.monotonicMs();
      return leftMs > 0 ? { kind: 'quarantined', retryAfterMs: leftMs } : work(command);
    };
    const callers = [claim({ waitMs: 0 }), claim({ waitMs: 1_000 }), claim()];
    await clock.pass(1);
    await clock.pass(4_900);
    expect(settledOf(callers)).toEqual(['QUARANTINE', 'QUARANTINE', undefined]);
    await clock.pass(200);
    expect(callers[2]?.settled).toBe('o');
  });

  test('a claim that waits in a quarantine asks every 2 s, for a roll call may end it early', async () => {
    let isOver = false;
    answer = (command) => (isOver ? work(command) : { kind: 'quarantined', retryAfterMs: 34_000 });
    const caller = claim();
    await clock.pass(1);
    isOver = true;
    await clock.pass(1_900);
    expect(caller.settled).toBeUndefined();
    await clock.pass(200);
    expect(caller.settled).toBe('o');
  });
});

describe('a client that goes away', () => {
  test('a client that goes away claims nothing any more', async () => {
    const caller = claim();
    await clock.pass(10);
    caller.leave();
    asked = [];
    notify({ kind: 'claimable', type: 't' });
    await clock.pass(10);
    expect([caller.settled, asked, room.size]).toEqual(['CANCELLED', [], 0]);
  });

  test.each([0, 60_000])(
    'what a question found after its client went away is given back, waiting %i ms',
    async (waitMs) => {
      const held = Promise.withResolvers<ClaimOutcome>();
      answer = () => held.promise;
      const caller = claim({ waitMs });
      await clock.pass(1);
      caller.leave();
      await clock.pass(1);
      held.resolve(work(asked[0] as ClaimCommand)); // it has asked
      await clock.pass(10);
      expect(caller.settled).toBe('CANCELLED');
      const { claimId, stamp } = asked[0] as ClaimCommand; // as above
      expect(yielded).toMatchObject([
        { resource: 'r', operationId: 'o', claimId, fencingToken: 7n, delayMs: 0, stamp },
      ]);
      expect(counted).toEqual(['pending t 5', 'retried t']);
    },
  );
});

// The first try waits in the socket of a frozen server, and the second one is answered elsewhere. The server wakes and
// asks for the first one, whose client has long gone: what it gets was told to that very client.
test.each([0, 60_000])(
  'a late repeat gives back nothing that the newer call told its client, waiting %i ms',
  async (waitMs) => {
    const held = Promise.withResolvers<ClaimOutcome>();
    answer = () => held.promise;
    const caller = claim({ waitMs });
    await clock.pass(1);
    caller.leave();
    await clock.pass(1);
    held.resolve(work(asked[0] as ClaimCommand, 'o', true)); // it has asked
    await clock.pass(10);
    expect([caller.settled, yielded, counted]).toEqual(['CANCELLED', [], []]);
  },
);

describe('a store that fails', () => {
  test('after a passing failure the same caller asks again, since its question may have claimed something', async () => {
    claim();
    await clock.pass(10);
    asked = [];
    answer = () => Promise.reject(new CoordinationError('OUTCOME_UNKNOWN', 'late'));
    const caller = claim();
    await clock.pass(300);
    answer = (command) => (command.claimId === caller.claimId ? work(command) : nothing());
    await clock.pass(1_100);
    expect(caller.settled).toBe('o');
    const own = asked.findLastIndex(({ claimId }) => claimId === caller.claimId);
    expect(own).toBeGreaterThan(0);
    expect(asked.slice(0, own).every(({ claimId }) => claimId === caller.claimId)).toBe(true);
  });

  test('when the caller that asked for all of them leaves, the next one asks', async () => {
    const [first, second] = [claim(), claim()];
    await clock.pass(10);
    answer = () => Promise.reject(new CoordinationError('OUTCOME_UNKNOWN', 'late'));
    notify({ kind: 'claimable', type: 't' });
    await clock.pass(1);
    first.leave();
    answer = work;
    await clock.pass(1_100);
    expect(settledOf([first, second])).toEqual(['CANCELLED', 'o']);
  });

  test('a failure that lasts until the time is over is thrown', async () => {
    answer = () => Promise.reject(new CoordinationError('REDIS_UNAVAILABLE', 'away'));
    const caller = claim({ waitMs: 3_000 });
    await clock.pass(3_100);
    expect(caller.settled).toBe('REDIS_UNAVAILABLE');
    expect(asked.length).toBeLessThan(20);
  });

  test('a defect is thrown at once', async () => {
    answer = () => Promise.reject(new TypeError('a defect'));
    const caller = claim();
    await clock.pass(10);
    expect(caller.settled).toBe('TypeError: a defect');
  });
});
