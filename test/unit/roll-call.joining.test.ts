// What an instance itself sees to in a roll call: how it joins a reign, what it puts back, and what it tells of which
// reign. Redis is played by answers that the test gives; the scripts' part is in roll-call.faults.test.ts.
import { beforeEach, describe, expect, test } from 'vitest';
import { awayAtMostMs, freshWithinMs, newcomerWaitMs } from '../../src/domain/safety.ts';
import type { Reply } from '../../src/store/redis/evaluate-script.ts';
import { RollCall, type RollCallOptions } from '../../src/store/redis/roll-call.ts';
import { loadScripts, type Scripts } from '../../src/store/redis/scripts.ts';
import type { Session } from '../../src/store/redis/session.ts';
import type { Told } from '../../src/store/redis/told-lease.ts';
import { ToldMemory } from '../../src/store/redis/told-memory.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { quietObserver } from '../support/store-harness.ts';

const MAX_TTL_MS = 30_000;
const SCRIPTS = loadScripts();
const NAMES = new Map(Object.entries(SCRIPTS).map(([name, script]) => [script, name]));

interface Entry {
  /** How long ago a majority named the primary, as the entry says; undefined: never. */
  readonly ageMs?: number;
  readonly epoch: number;
}

interface Call {
  readonly name: string;
  readonly args: readonly string[];
}

let clock: ManualClock;
let rollCall: RollCall;
let calls: Call[];
let named: { readonly monotonicMs: number; readonly wallMs: number } | undefined;

beforeEach(() => {
  clock = new ManualClock();
  calls = [];
  named = undefined;
  rollCall = new RollCall(options());
});

function options(maxToldLeases = 1_000): RollCallOptions {
  return {
    // Only what RollCall asks of it.
    locator: { agreedAt: () => named } as unknown as RollCallOptions['locator'],
    scripts: SCRIPTS as Scripts,
    clock,
    machineMs: () => clock.monotonicMs(),
    observer: quietObserver,
    maxTtlMs: MAX_TTL_MS,
    maxToldLeases,
    hostName: 'host',
    runId: 'run',
    random: () => 0.5,
    seenToken: () => 0,
  };
}

/** A session whose Redis has this entry of the instance. */
function session(reign: string, epoch: number, entry?: Entry, from = { reign: 'none', clockUs: 0 }): Session {
  const reply = (name: string): Reply => {
    const { ageMs } = entry ?? {};
    const asked = ageMs === undefined ? '-' : String(clock.monotonicMs() - ageMs);
    const wall = ageMs === undefined ? '-' : String(clock.wallMs() - ageMs);
    const own = entry ? [asked, wall, String(entry.epoch)] : ['', '', ''];
    switch (name) {
      case 'join-reign':
        return ['joined', '1', '5000000', String(epoch), ...own, from.reign, String(from.clockUs)];
      case 'register-instance':
        return ['registered', '1', '0'];
      default:
        return ['answered', '1', '6000000', '0', '0', '0'];
    }
  };
  const run: Session['run'] = async (script, args) => {
    const name = NAMES.get(script) ?? '';
    calls.push({ name, args });
    return reply(name);
  };
  // Only what RollCall asks of it.
  return { reign, epoch, run, over: new AbortController().signal, primary: {} } as unknown as Session;
}

const answers = (): readonly (readonly string[])[] =>
  calls.filter(({ name }) => name === 'answer-roll-call').map(({ args }) => args);

function told(number: number, given: Partial<Told> = {}): Told {
  return {
    resource: 'r',
    leaseId: `lease-${number}`,
    text: `${number} 40000000 20000000 0 = x/2 exclusive held 1`,
    about: '[]',
    askedAtMs: clock.monotonicMs(),
    deadlineMs: clock.monotonicMs() + 20_000,
    holdMs: 0,
    reign: 'a',
    clockUs: 1_000_000,
    ...given,
  };
}

describe('an answer', () => {
  test('an answer is fresh when a majority named the primary not long before, by the own entry', async () => {
    await rollCall.join(session('a', 1, { ageMs: freshWithinMs(MAX_TTL_MS) - 1_000, epoch: 0 }));
    await rollCall.join(session('b', 2, { ageMs: freshWithinMs(MAX_TTL_MS) + 1_000, epoch: 0 }));
    await rollCall.join(session('c', 3, { epoch: 0 }));
    expect(answers().map(([, fresh]) => fresh)).toEqual(['1', '0', '0']);
  });

  test('the entry names no time when no majority names the primary, although the instance ticks', () => {
    expect(rollCall.asked(session('a', 1))).toEqual(['', '']);
    named = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    expect(rollCall.asked(session('a', 1))[0]).not.toBe('');
  });

  test('the last of several batches is the answer, and no earlier one', async () => {
    for (let number = 1; number <= 450; number++) rollCall.told.note(told(number));
    await rollCall.join(session('b', 2, { ageMs: 0, epoch: 1 }));
    expect(answers().map(([complete]) => complete)).toEqual(['0', '0', '1']);
  });

  test('what the data cannot know is put back: all that was told since the cut, or elsewhere', async () => {
    rollCall.told.note(told(1, { clockUs: 999_999 }));
    rollCall.told.note(told(2, { clockUs: 1_000_000 }));
    rollCall.told.note(told(3, { clockUs: 5, reign: 'elsewhere' }));
    await rollCall.join(session('b', 2, { ageMs: 0, epoch: 1 }, { reign: 'a', clockUs: 1_000_000 }));
    expect(
      answers()
        .flat()
        .filter((word) => word.startsWith('lease-')),
    ).toEqual(['lease-2', 'lease-3']);
  });
});

describe('what is put back', () => {
  const leases = (): readonly string[] =>
    answers()
      .flat()
      .filter((word) => word.startsWith('lease-'));

  test('what was told under the very reign that is joined again is never put back', async () => {
    await rollCall.join(session('b', 2, { ageMs: 0, epoch: 1 }));
    rollCall.told.note(told(1, { reign: 'b', clockUs: 7_000_000 }));
    // Dropped from the registry, it registers again, and owes an answer.
    await rollCall.join(session('b', 2));
    expect(leases()).toEqual([]);
  });

  test('a lease is put back with the order in which it was told, however often it is put back', async () => {
    rollCall.told.note(told(1, { reign: '4:a', clockUs: 1_000_000 }));
    await rollCall.join(session('5:b', 2, { ageMs: 0, epoch: 1 }));
    await rollCall.join(session('6:c', 3, { ageMs: 0, epoch: 2 }));
    const spans = answers().map((args) => args.at(-1)?.split(' ').slice(-2));
    expect(spans).toEqual([
      ['4', '1000000'],
      ['4', '1000000'],
    ]);
  });
});

describe('an instance', () => {
  test('an instance that registers tells nothing until it has waited', async () => {
    const own = session('a', 1);
    await rollCall.join(own);
    expect(rollCall.newcomerRemainingMs).toBe(newcomerWaitMs(MAX_TTL_MS));
    expect(rollCall.mayTell(own, clock.monotonicMs())).toBe(false);
    clock.advance(newcomerWaitMs(MAX_TTL_MS));
    expect(rollCall.mayTell(own, clock.monotonicMs())).toBe(true);
  });

  test('an instance that was away for longer than a lease may last registers again', async () => {
    await rollCall.join(session('a', 1, { ageMs: awayAtMostMs(MAX_TTL_MS) - 1_000, epoch: 1 }));
    expect(calls.map(({ name }) => name)).not.toContain('register-instance');
    await rollCall.join(session('b', 2, { ageMs: awayAtMostMs(MAX_TTL_MS) + 1_000, epoch: 1 }));
    expect(calls.map(({ name }) => name)).toContain('register-instance');
  });

  test('nothing is told of another reign once the next one is joined', async () => {
    const former = session('a', 1, { ageMs: 0, epoch: 1 });
    await rollCall.join(former);
    expect(rollCall.mayTell(former, clock.monotonicMs())).toBe(true);
    const next = session('b', 2, { ageMs: 0, epoch: 2 });
    await rollCall.join(next);
    expect(rollCall.mayTell(former, clock.monotonicMs())).toBe(false);
    expect(rollCall.mayTell(next, clock.monotonicMs())).toBe(true);
  });
});

describe('told memory', () => {
  const cut = { fromReign: 'b', fromClockUs: 0, ownReign: '' };

  test('of two answers about a lease that overtake each other, the later deadline counts', () => {
    const memory = new ToldMemory({ maxLeases: 10, monotonicMs: () => clock.monotonicMs() });
    const late = clock.monotonicMs() + 20_000;
    memory.note(told(1, { deadlineMs: late, clockUs: 2_000_000 }));
    memory.note(told(1, { deadlineMs: late - 9_000, clockUs: 1_000_000 }));
    expect([...memory.unknownTo(cut)].map(({ deadlineMs }) => deadlineMs)).toEqual([late]);
  });

  test('a min_hold is remembered although its lease was released', () => {
    const memory = new ToldMemory({ maxLeases: 10, monotonicMs: () => clock.monotonicMs() });
    const holdMs = clock.monotonicMs() + 15_000;
    memory.note(told(1, { holdMs }));
    memory.ended('r', 'lease-1', 2);
    expect([...memory.unknownTo(cut)].map((one) => one.holdMs)).toEqual([holdMs]);
  });

  test('an instance that told more than it remembers is incomplete until that is over', () => {
    const memory = new ToldMemory({ maxLeases: 1, monotonicMs: () => clock.monotonicMs() });
    memory.note(told(1));
    memory.note(told(2));
    expect(memory.isCompleteFor(cut)).toBe(false);
    clock.advance(20_000);
    expect(memory.isCompleteFor(cut)).toBe(true);
  });
});
