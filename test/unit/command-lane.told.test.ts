// The last step of an answer's way: whether it may still be told, and what is remembered of it, are one step.
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import { CommandLane } from '../../src/store/redis/command-lane.ts';
import type { Reply } from '../../src/store/redis/evaluate-script.ts';
import type { PrimaryKeeper } from '../../src/store/redis/primary-keeper.ts';
import type { PrimaryLocator } from '../../src/store/redis/primary-locator.ts';
import { loadScripts } from '../../src/store/redis/scripts.ts';
import type { Session } from '../../src/store/redis/session.ts';
import { quietObserver } from '../support/store-harness.ts';

const PRIMARY = { address: { host: '127.0.0.1', port: 1 }, configEpoch: '0', key: 'p' };

function laneWith(reply: Reply, keeper: Partial<PrimaryKeeper>) {
  const session = {
    primary: PRIMARY,
    lateAtMs: 0,
    over: new AbortController().signal,
    run: async () => reply,
  } as Partial<Session> as Session; // what the lane uses of it
  const locator: Partial<PrimaryLocator> = { named: () => PRIMARY, awaitNamed: async () => PRIMARY };
  return new CommandLane({
    keeper: { session, mayTell: () => true, ...keeper } as Partial<PrimaryKeeper> as PrimaryKeeper, // as above
    locator: locator as PrimaryLocator, // as above
    scripts: loadScripts(),
    clock: systemClock,
    maxInFlight: 10,
    minAcks: 0,
    connection: { connectTimeoutMs: 100, name: 'test' },
    observer: quietObserver,
  });
}

function run(lane: CommandLane, note: () => void): Promise<unknown> {
  return lane.run('acquire-lock', [], { deadlineMs: systemClock.monotonicMs() + 1_000 }, note);
}

describe('an answer that is about to be told', () => {
  test('nothing comes between the question whether it may be told and what is remembered of it', async () => {
    const steps: string[] = [];
    const mayTell = (): boolean => {
      steps.push('asked');
      queueMicrotask(() => steps.push('something else'));
      return true;
    };
    await run(laneWith(['granted', '1'], { mayTell }), () => steps.push('noted'));
    expect(steps.slice(0, 3)).toEqual(['asked', 'noted', 'something else']);
  });

  test('what may not be told any more is not remembered, and its outcome is unknown', async () => {
    const steps: string[] = [];
    const lane = laneWith(['granted', '1'], { mayTell: () => false });
    await expect(run(lane, () => steps.push('noted'))).rejects.toMatchObject({ code: 'PRIMARY_UNCONFIRMED' });
    expect(steps).toEqual([]);
  });

  test('an instance that is not registered any more has changed nothing', async () => {
    const lane = laneWith(['unregistered', '1'], {});
    await expect(run(lane, () => {})).rejects.toMatchObject({
      code: 'REDIS_UNAVAILABLE',
      message: expect.stringContaining('nothing was changed'),
    });
  });
});
