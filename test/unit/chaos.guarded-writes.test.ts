// The check of the tokens at the guarded resource: what it accepts, and each way to break it.
import { expect, test } from 'vitest';
import { checkGuardedWrites } from '../chaos/checker/guarded-writes.ts';
import { Run } from '../chaos/checker/recorded-run.ts';
import type { Event } from '../chaos/history.ts';
import { beliefEnded, believed, written } from '../support/chaos-events.ts';

const check = (...events: Event[]) => checkGuardedWrites(new Run(events));
const late = { accepted: false, highest: '7' };

test('tokens that rise, and several writes of one holder, pass', () => {
  const { violations, counts } = check(written(1, 5), written(2, 5), written(3, 7));
  expect(violations).toEqual([]);
  expect(counts['accepted writes']).toBe(3);
});

test('a smaller token that is accepted is a violation', () => {
  const { violations } = check(written(1, 7), written(2, 5));
  expect(violations).toHaveLength(1);
  expect(violations[0]?.text).toContain('token 5 after one with 7');
});

test('tokens of guarded writes are compared for each resource by itself', () => {
  expect(check(written(1, 7), written(2, 5, { resource: 's' })).violations).toEqual([]);
});

test('a paused writer that is refused after its belief has ended counts as fenced', () => {
  const { violations, counts } = check(written(1, 7), written(9, 5, { ...late, believedUntilMs: 8_000 }));
  expect(violations).toEqual([]);
  expect(counts['fenced writes']).toBe(1);
});

test('a writer that is refused within its belief is a violation', () => {
  const { violations } = check(written(1, 7), written(7, 5, { ...late, believedUntilMs: 8_000 }));
  expect(violations.map(({ text }) => text)).toEqual([expect.stringContaining('within its belief (1.000 s')]);
});

test('a writer that is refused after it gave the lease back passes', () => {
  const belief = [believed(1, 8, 5), beliefEnded(3, 5)];
  const write = written(7, 5, { ...late, believedUntilMs: 8_000 });
  expect(check(...belief, written(6, 7), write).violations).toEqual([]);
  expect(check(believed(1, 8, 5), beliefEnded(3, 5, 'lost:x'), written(6, 7), write).violations).toHaveLength(
    1,
  );
});

test('a refusal without an earlier larger token is a violation of the guard', () => {
  expect(check(written(1, 5), written(2, 6, { accepted: false })).violations).toHaveLength(1);
});

test('tokens are compared as numbers, even past 2^53', () => {
  expect(check(written(1, 9), written(2, 10)).violations).toEqual([]);
  const [a, b] = ['9007199254740993', '9007199254740992'];
  expect(check(written(1, 0, { token: a }), written(2, 0, { token: b })).violations).toHaveLength(1);
});
