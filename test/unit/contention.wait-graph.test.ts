// Circles in who waits for whom.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Holder, LockView, Mode, Waiter } from '../../src/domain/lock.ts';
import { type Deadlock, findDeadlocks, type OwnersWait } from '../../src/service/contention/wait-graph.ts';

const EXCLUSIVE: Mode = { kind: 'exclusive' };
const SHARED: Mode = { kind: 'shared' };
const permits = (n: number, limit: number): Mode => ({ kind: 'permits', permits: n, limit });

const holder = (owner: string, mode: Mode = EXCLUSIVE, more: Partial<Holder> = {}): Holder => ({
  leaseIdHash: `hash of ${owner}`,
  owner,
  mode,
  fencingToken: 7n,
  acquiredAtWallMs: 1_000,
  remainingMs: 10_000,
  metadata: new Map(),
  revoked: false,
  ...more,
});
const wait = (owner: string, resource: string, more: Partial<OwnersWait> = {}): OwnersWait => ({
  owner,
  resource,
  mode: EXCLUSIVE,
  sinceWallMs: 2_000,
  knownAtWallMs: Number.POSITIVE_INFINITY,
  ...more,
});
const view = (resource: string, holders: readonly Holder[], waiters: readonly Waiter[] = []): LockView => ({
  resource,
  holders,
  holderCount: holders.length,
  permitsHeld: 0,
  permitsLimit: 0,
  waiters,
  queueLength: waiters.length,
  minHoldRemainingMs: 0,
});

function found(
  waits: readonly OwnersWait[],
  held: Readonly<Record<string, readonly Holder[] | LockView>>,
): readonly Deadlock[] {
  const views = Object.entries(held).map(([resource, holders]): [string, LockView] => [
    resource,
    'resource' in holders ? holders : view(resource, holders as readonly Holder[]),
  ]);
  return findDeadlocks(waits, new Map(views), 100);
}
const owners = (deadlocks: readonly Deadlock[]) => deadlocks.map((each) => each.map(({ owner }) => owner));

test('Two owners that hold what the other one waits for are a circle, told once', () => {
  const waits = [wait('bob', 'a', { sinceWallMs: 3_000 }), wait('alice', 'b')];
  expect(found(waits, { a: [holder('alice')], b: [holder('bob', EXCLUSIVE, { fencingToken: 8n })] })).toEqual(
    [
      [
        {
          owner: 'alice',
          holds: 'a',
          waitsFor: 'b',
          sinceWallMs: 2_000,
          fencingToken: 7n,
          leaseIdHash: 'hash of alice',
        },
        {
          owner: 'bob',
          holds: 'b',
          waitsFor: 'a',
          sinceWallMs: 3_000,
          fencingToken: 8n,
          leaseIdHash: 'hash of bob',
        },
      ],
    ],
  );
});

test('A chain of waiters that ends with an owner who waits for nothing is no circle', () => {
  const waits = [wait('a', 'r1'), wait('b', 'r2'), wait('c', 'r3')];
  expect(found(waits, { r1: [holder('b')], r2: [holder('c')], r3: [holder('d')] })).toEqual([]);
});

test('A longer circle is told in order, and those who only wait for it are not part of it', () => {
  const waits = [wait('c', 'r1'), wait('b', 'r3'), wait('a', 'r2'), wait('late', 'r1')];
  const deadlocks = found(waits, { r1: [holder('a')], r2: [holder('b')], r3: [holder('c')] });
  expect(owners(deadlocks)).toEqual([['a', 'b', 'c']]);
  expect(deadlocks[0]?.map(({ holds, waitsFor }) => [holds, waitsFor])).toEqual([
    ['r1', 'r2'],
    ['r2', 'r3'],
    ['r3', 'r1'],
  ]);
});

test('Two circles that share an owner are both told', () => {
  const waits = [wait('hub', 'r1'), wait('hub', 'r2'), wait('x', 'h1'), wait('y', 'h2')];
  const held = { r1: [holder('x')], r2: [holder('y')], h1: [holder('hub')], h2: [holder('hub')] };
  expect(owners(found(waits, held))).toEqual([
    ['hub', 'x'],
    ['hub', 'y'],
  ]);
});

test('An owner who waits for what it holds itself, and owners without a name, stand in no circle', () => {
  expect(found([wait('pid@host', 'a')], { a: [holder('pid@host')] })).toEqual([]);
  expect(found([wait('', 'b'), wait('bob', 'a')], { a: [holder('')], b: [holder('bob')] })).toEqual([]);
});

test('A waiter waits for each holder of a shared lock, also for a shared lease behind one who wants to be alone', () => {
  const held = { r: [holder('other', SHARED), holder('bob', SHARED)], x: [holder('alice')] };
  expect(owners(found([wait('alice', 'r'), wait('bob', 'x')], held))).toEqual([['alice', 'bob']]);
  expect(owners(found([wait('alice', 'r', { mode: SHARED }), wait('bob', 'x')], held))).toEqual([
    ['alice', 'bob'],
  ]);
});

test('Permits that others can free end no circle, and permits that nobody can free do', () => {
  const waits = [wait('alice', 'pool', { mode: permits(1, 2) }), wait('bob', 'x')];
  const x = [holder('alice')];
  const free = holder('carol', permits(1, 2));
  expect(found(waits, { pool: [holder('bob', permits(1, 2)), free], x })).toEqual([]);
  expect(owners(found(waits, { pool: [holder('bob', permits(2, 2))], x }))).toEqual([['alice', 'bob']]);
});

test('A waiter needs room for those who came before it', () => {
  const waits = [wait('alice', 'pool', { mode: permits(1, 3) }), wait('bob', 'x')];
  const first: Waiter = { leaseIdHash: 'h', owner: 'big', mode: permits(3, 3), queuedAtWallMs: 1_500 };
  const holders = [holder('bob', permits(1, 3)), holder('carol', permits(2, 3))];
  const x = [holder('alice')];
  expect(found(waits, { pool: holders, x })).toEqual([]);
  expect(owners(found(waits, { pool: view('pool', holders, [first]), x }))).toEqual([['alice', 'bob']]);
});

test('A force-released lease is in nobody’s way: it ends by itself', () => {
  const waits = [wait('alice', 'b'), wait('bob', 'a')];
  const held = { a: [holder('alice')], b: [holder('bob', EXCLUSIVE, { revoked: true })] };
  expect(found(waits, held)).toEqual([]);
});

test('A wait that is known from a report makes no circle with what began after the report', () => {
  const held = { a: [holder('alice')], b: [holder('bob')] };
  const told = (knownAtWallMs: number) => wait('alice', 'b', { knownAtWallMs });
  const bob = wait('bob', 'a', { sinceWallMs: 5_000 });
  expect(owners(found([told(6_000), bob], held))).toEqual([['alice', 'bob']]);
  // Alice gave up after the report, and Bob began to wait.
  expect(found([told(4_000), bob], held)).toEqual([]);
  // Alice gave up after the report, and then got what she holds.
  const later = { ...held, a: [holder('alice', EXCLUSIVE, { acquiredAtWallMs: 6_500 })] };
  expect(found([told(6_000), bob], later)).toEqual([]);
});

test('Every circle that is told is one, and some circle is told exactly when there is one', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
  fc.assert(
    fc.property(fc.uniqueArray(name), fc.array(fc.tuple(name, name), { maxLength: 12 }), (held, pairs) => {
      // Each owner holds the resource of its own name.
      const views = new Map(held.map((owner) => [owner, view(owner, [holder(owner)])]));
      const waits = pairs.map(([owner, resource]) => wait(owner, resource));
      const deadlocks = findDeadlocks(waits, views, 100);
      for (const deadlock of deadlocks) {
        expect(deadlock.length).toBeGreaterThan(1);
        for (const [index, { owner, holds, waitsFor }] of deadlock.entries()) {
          expect(holds).toBe(owner);
          expect(pairs).toContainEqual([owner, waitsFor]);
          expect(deadlock[(index + 1) % deadlock.length]?.owner).toBe(waitsFor);
        }
      }
      expect(new Set(deadlocks.map((each) => JSON.stringify(owners([each])))).size).toBe(deadlocks.length);
      // By striking out, one after the other, who has no way on: what is left has a circle.
      let edges = pairs.filter(([from, to]) => from !== to && held.includes(to));
      for (let before = -1; before !== edges.length; ) {
        before = edges.length;
        edges = edges.filter(([, to]) => edges.some(([from]) => from === to));
      }
      expect(deadlocks.length > 0).toBe(edges.length > 0);
    }),
  );
});

test('A thousand owners in one knot are told as a bounded number of circles', () => {
  const all = Array.from({ length: 1_000 }, (_, index) => `o${index}`);
  const views = new Map(all.map((owner) => [owner, view(owner, [holder(owner)])]));
  const waits = all.flatMap((owner, index) =>
    [1, 2, 3].map((step) => wait(owner, all[(index + step) % all.length] ?? '')),
  );
  const deadlocks = findDeadlocks(waits, views, 20);
  expect(deadlocks.length).toBeGreaterThan(0);
  expect(deadlocks.length).toBeLessThanOrEqual(20);
});

/** A map that counts how often somebody looks into it. */
class Looks<K, V> extends Map<K, V> {
  looks = 0;

  override get(key: K): V | undefined {
    this.looks++;
    return super.get(key);
  }
}

test.each([
  ['that ends with an owner who can go on', 1_000],
  ['that ends in a circle', 998],
])('a crowd behind a chain %s costs a few looks for each of its waits', (_, lastWaitsFor) => {
  const held = Array.from({ length: 1_001 }, (_, index) => `o${index}`);
  const views = new Looks(held.map((owner) => [owner, view(owner, [holder(owner)])]));
  const inChain = held.slice(0, 999).map((owner, index) => wait(owner, `o${index + 1}`));
  const crowd = Array.from({ length: 3_000 }, (_, index) => wait(`c${index}`, 'o0'));
  const oneName = Array.from({ length: 3_000 }, () => wait('busy', 'o0'));
  const waits = [...inChain, wait('o999', `o${lastWaitsFor}`), ...crowd, ...oneName];
  const circles = owners(findDeadlocks(waits, views, 20));
  expect(circles).toEqual(lastWaitsFor === 998 ? [['o998', 'o999']] : []);
  expect(views.looks).toBeLessThan(5 * waits.length);
});
