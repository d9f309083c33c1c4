// How many connections the client core opens for its calls, and when it closes them: with a clock that a test moves.
import { expect, test } from 'vitest';
import { Connections, type Place, type Stubs } from '../../src/client/core/connections.ts';
import { TimerGroup } from '../../src/domain/timer-group.ts';
import { ManualClock } from '../support/manual-clock.ts';

function connections(streamsPerConnection: number) {
  const clock = new ManualClock();
  let opened = 0;
  let closed = 0;
  const connect = (): Stubs => {
    opened++;
    return { locks: { close: () => closed++ }, operations: {} } as unknown as Stubs; // nothing else of it is used
  };
  const pool = new Connections({ connect, streamsPerConnection, clock: new TimerGroup(clock) });
  const take = (count: number): Place[] => Array.from({ length: count }, () => pool.take());
  return { clock, pool, take, counts: () => ({ opened, closed }) };
}

test('A connection is opened at the first call, and another one for each call beyond the limit', () => {
  const { take, counts } = connections(5);
  expect(counts()).toEqual({ opened: 0, closed: 0 });
  take(5);
  expect(counts().opened).toBe(1);
  take(6);
  expect(counts().opened).toBe(3);
});

test('A place that was freed is taken again before another connection is opened', () => {
  const { take, counts } = connections(2);
  const [first] = take(4);
  first?.free();
  take(1);
  expect(counts().opened).toBe(2);
});

test('One of several connections is closed when it has had no call for a minute, and the last one stays', () => {
  const { clock, pool, take, counts } = connections(2);
  const places = take(6);
  for (const place of places) place.free();
  clock.advance(59_000);
  expect(counts().closed).toBe(0);
  clock.advance(1_000);
  expect([counts().closed, pool.count, clock.timers]).toEqual([2, 1, 0]);
});

test('A connection that gets a call again within the minute stays open', () => {
  const { clock, take, counts } = connections(1);
  const [, second] = take(2);
  second?.free();
  clock.advance(59_000);
  take(1);
  clock.advance(120_000);
  expect(counts()).toEqual({ opened: 2, closed: 0 });
});

test('All connections are closed by the end of the client', () => {
  const { clock, pool, take, counts } = connections(1);
  take(3)[0]?.free();
  pool.close();
  expect([counts().closed, clock.timers]).toEqual([3, 0]);
});

test('The crowd of a connection is told with the option that limits it, unless the call is alone on it', () => {
  const { take } = connections(100);
  const [alone] = take(1);
  expect(alone?.crowd).toBe('');
  take(6);
  expect(alone?.crowd).toMatch(/7 calls were open on its connection.*streamsPerConnection/);
});
