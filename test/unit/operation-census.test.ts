// How operations are counted in steps, and how many types have a name of their own. What Redis answers is in
// monitor.redis.test.ts.
import { expect, test } from 'vitest';
import { type Census, OperationCensus } from '../../src/monitoring/operation-census.ts';
import { type Ask, OLDEST_AMONG, oldestClaimable } from '../../src/store/redis/deployment-counts.ts';
import { keysFor } from '../../src/store/redis/keys.ts';

/** Answers as the scripts do: pages of counts, each with what is behind it, and an age for each type. */
function answering(pages: readonly (readonly unknown[])[], age = 5): Ask {
  let asked = 0;
  return async (_command, script, ...args) =>
    String(script).includes('claimable')
      ? args.slice(3).map(() => String(age * 1e6))
      : pages[asked++ % pages.length];
}

function shown(census: Census | undefined): Readonly<Record<string, number>> {
  const found = census?.counts.filter(({ count }) => count > 0) ?? [];
  return Object.fromEntries(found.map(({ type, state, count }) => [`${type} ${state}`, count]));
}

test('the ages of many types are asked for in scripts that look at 200 operations each', async () => {
  const types = Array.from({ length: 25 }, (_, index) => `t${index}`);
  const asked: number[] = [];
  const ask: Ask = async (_command, _script, _keyCount, _key, _most, ...some) => {
    asked.push(some.length);
    return some.map((type) => Number(String(type).slice(1)) * 1e6);
  };
  expect(await oldestClaimable(ask, keysFor('p:'), types)).toEqual(types.map((_, index) => index));
  expect(asked.map((count) => count * OLDEST_AMONG)).toEqual([200, 200, 100]);
});

test('the counts are those of the last complete pass', async () => {
  const census = new OperationCensus({ keys: keysFor('p:'), pagesPerPoll: 1 });
  const ask = answering([
    ['x', 'copy\tpending', 2, 'move\trunning', 1],
    ['', 'copy\tpending', 3, 'copy\tdead', 1, 'copy\tsucceeded', 9],
    ['y', 'copy\tpending', 100],
  ]);
  expect(await census.read(ask)).toBeUndefined();
  const whole = { 'copy pending': 5, 'copy dead': 1, 'move running': 1 };
  expect(shown(await census.read(ask))).toEqual(whole);
  expect(shown(await census.read(ask))).toEqual(whole);
});

test('the first 50 types have a name of their own and keep it, and the others are one', async () => {
  const census = new OperationCensus({ keys: keysFor('p:') });
  const types = Array.from({ length: 60 }, (_, index) => `t${index}`);
  const page = ['', ...types.flatMap((type) => [`${type}\tpending`, 2])];
  const first = await census.read(answering([page]));
  expect(Object.keys(shown(first))).toHaveLength(51);
  expect(shown(first)['other pending']).toBe(20);
  expect(first?.oldestPending.get('other')).toBe(5);
  expect(first?.oldestPending.size).toBe(51);
  // t0 is gone, and one of the others takes its name. t1 keeps its own, wherever it stands.
  const second = await census.read(answering([['', ...page.slice(3).reverse().flatMap(pairBack)]]));
  expect(shown(second)['t1 pending']).toBe(2);
  expect(shown(second)['other pending']).toBe(18);
});

/** Of a reversed list of names and counts: a name, and its count behind it. */
function pairBack(entry: unknown, index: number, all: readonly unknown[]): readonly unknown[] {
  return index % 2 === 0 ? [all[index + 1], entry] : [];
}
