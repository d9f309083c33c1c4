// When a collector is up, and what is told of its troubles.
import { expect, test } from 'vitest';
import { Collectors } from '../../src/monitoring/collectors.ts';
import { Member } from '../../src/monitoring/member.ts';
import { ManualClock } from '../support/manual-clock.ts';

function collectors(): { all: Collectors; told: string[]; clock: ManualClock } {
  const clock = new ManualClock();
  const told: string[] = [];
  const all = new Collectors(['info', 'slowlog'], clock, (...words) => told.push(words.join(' ')));
  return { all, told, clock };
}

test('a collector is up when each of its nodes could be read, and down before any was', () => {
  const { all } = collectors();
  const isUp = (): boolean | undefined => all.states().find(({ collector }) => collector === 'info')?.isUp;
  expect(isUp()).toBe(false);
  all.report({ collector: 'info', target: 'a', tookMs: 3 });
  expect(isUp()).toBe(true);
  all.report({ collector: 'info', target: 'b', tookMs: 2_000, reason: 'no reply' });
  expect(isUp()).toBe(false);
  expect(all.states()[0]?.durationSeconds).toBe(2);
  all.keepOnly(['info'], new Set(['a']));
  expect(isUp()).toBe(true);
  expect(all.states()[0]?.durationSeconds).toBe(0.003);
});

test('the last success of a collector is the last moment at which all of its nodes could be read', () => {
  const { all, clock } = collectors();
  const last = (): number | undefined => all.states()[0]?.lastSuccessSeconds;
  expect(last()).toBeUndefined();
  all.report({ collector: 'info', target: 'a', tookMs: 1 });
  const first = clock.wallMs() / 1_000;
  expect(last()).toBe(first);
  clock.advance(5_000);
  all.report({ collector: 'info', target: 'b', tookMs: 1, reason: 'no reply' });
  all.report({ collector: 'info', target: 'a', tookMs: 1 });
  expect(last()).toBe(first);
  all.report({ collector: 'info', target: 'b', tookMs: 1 });
  expect(last()).toBe(first + 5);
});

test('a trouble is told once while it lasts, and again when it comes back, unless another collector tells it', () => {
  const { all, told } = collectors();
  const report = (reason?: string, isTold?: boolean): void =>
    all.report({ collector: 'slowlog', target: 'a', tookMs: 1, reason, isTold: isTold ?? false });
  report('NOPERM');
  report('NOPERM');
  report('no reply', true);
  report('NOPERM');
  report();
  report('NOPERM');
  expect(told).toEqual(['slowlog a NOPERM', 'slowlog a NOPERM']);
});

test('a reading that cannot be confirmed is kept for two polls', () => {
  const member = new Member<string>({ host: 'a', port: 1 });
  expect([member.isUp, member.reading]).toEqual([false, undefined]);
  member.record({ isUp: true, reading: 'read' });
  const seen: unknown[] = [];
  for (let poll = 0; poll < 3; poll++) {
    member.record({ isUp: false, reading: undefined });
    seen.push(member.reading);
  }
  expect(seen).toEqual(['read', 'read', undefined]);
  member.record({ isUp: true, reading: 'again' });
  expect([member.isUp, member.reading]).toEqual([true, 'again']);
});
