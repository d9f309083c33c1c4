// What the announcements of Sentinels say, and which of them are echoes of another Sentinel's.
import { expect, test } from 'vitest';
import { NoticeEchoes, type NoticeName, parseNotice } from '../../src/monitoring/sentinel-notices.ts';
import { ManualClock } from '../support/manual-clock.ts';

const OLD = { host: '10.0.0.1', port: 6379 };
const NEW = { host: '10.0.0.2', port: 6380 };

test.each([
  ['+switch-master', 'mymaster 10.0.0.1 6379 10.0.0.2 6380', { node: NEW, kind: 'primary', former: OLD }],
  ['+sdown', 'master mymaster 10.0.0.1 6379', { node: OLD, kind: 'primary' }],
  ['+odown', 'master mymaster 10.0.0.1 6379 #quorum 3/2', { node: OLD, kind: 'primary' }],
  ['-sdown', 'slave 10.0.0.2:6380 10.0.0.2 6380 @ mymaster 10.0.0.1 6379', { node: NEW, kind: 'replica' }],
  ['+sdown', 'sentinel aabb 10.0.0.2 6380 @ mymaster 10.0.0.1 6379', { node: NEW, kind: 'sentinel' }],
  ['+tilt', '#tilt mode entered', { node: undefined, kind: undefined }],
] as const)('%s %s', (what, message, expected) => {
  expect(parseNotice(what, message, 'mymaster')).toMatchObject({ what, ...expected });
});

test.each([
  ['+switch-master', 'another 10.0.0.1 6379 10.0.0.2 6380'],
  ['+sdown', 'master another 10.0.0.1 6379'],
  ['+sdown', 'slave 10.0.0.2:6380 10.0.0.2 6380 @ another 10.0.0.1 6379'],
] as const)(
  'what a Sentinel says of another primary that it watches is none of ours: %s %s',
  (what, message) => {
    expect(parseNotice(what, message, 'mymaster')).toBeUndefined();
  },
);

function echoes(): {
  hears: (what: NoticeName, message: string, sentinel: string) => boolean;
  clock: ManualClock;
} {
  const clock = new ManualClock();
  const known = new NoticeEchoes(clock);
  const hears = (what: NoticeName, message: string, sentinel: string): boolean => {
    const notice = parseNotice(what, message, 'mymaster');
    return notice !== undefined && known.isEcho(notice, sentinel);
  };
  return { hears, clock };
}

const DOWN = 'master mymaster 10.0.0.1 6379';

test('an event that three Sentinels announce is one event, and the sizes of the quorum make no difference', () => {
  const { hears } = echoes();
  expect(hears('+odown', `${DOWN} #quorum 2/2`, 'a')).toBe(false);
  expect(hears('+odown', `${DOWN} #quorum 3/2`, 'b')).toBe(true);
  expect(hears('+odown', DOWN, 'c')).toBe(true);
  expect(hears('-odown', DOWN, 'b')).toBe(false);
});

test('a node that is down again, as a Sentinel says that said so before, is another event', () => {
  const { hears } = echoes();
  expect(hears('+sdown', DOWN, 'a')).toBe(false);
  expect(hears('+sdown', DOWN, 'b')).toBe(true);
  expect(hears('+sdown', DOWN, 'b')).toBe(false);
  expect(hears('+sdown', DOWN, 'a')).toBe(true);
});

test('what a Sentinel announces much later is another event', () => {
  const { hears, clock } = echoes();
  expect(hears('+sdown', DOWN, 'a')).toBe(false);
  clock.advance(31_000);
  expect(hears('+sdown', DOWN, 'b')).toBe(false);
});

test('each Sentinel is in TILT for itself', () => {
  const { hears } = echoes();
  expect(hears('+tilt', '#tilt mode entered', 'a')).toBe(false);
  expect(hears('+tilt', '#tilt mode entered', 'b')).toBe(false);
});
