// What every lock store must do for callers that only look: pages of locks, many locks at once, and the news that a
// lock has changed.

import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LIMITS } from '../../src/domain/limits.ts';
import { type LeaseSpec, leaseIdHash, type Mode } from '../../src/domain/lock.ts';
import { SKEW_ALLOWANCE_MS } from '../../src/domain/safety.ts';
import type { ChangeNotice, ListQuery, LockPage } from '../../src/store/lock-store.ts';
import { eventually } from '../support/eventually.ts';
import { INSTANCE_ID, inTime, leaseSpec, type StoreHarness } from '../support/store-harness.ts';

const SHARED: Mode = { kind: 'shared' };
const ALL: ListQuery = { prefix: '', owner: '', states: ['held', 'min-hold'], after: '', most: 100 };

/** Spaces, names that begin others, and characters whose order in UTF-16 is not that of their bytes. */
const NAMES = [
  ...['a', 'a ', 'a b', 'a  b', 'ab', 'aa', 'a/b', 'A', '~', 'é', 'éa', 'z', '\u00ff', '\u07ff', '\u0800'],
  ...['\uff5e', '\uffdc', '\u{1f600}', '\u{1f600}a', '\u{10ffff}', 'a\u{1f600}', 'a\uff5e', 'a\uff5eb'],
];

export function inspectionSuite(name: string, open: () => Promise<StoreHarness>): void {
  describe(`inspection: ${name}`, () => {
    let h: StoreHarness;
    let calls = 0;

    beforeEach(async () => {
      h = await open();
    });
    afterEach(async () => {
      await h.close();
    });

    const stampOf = (instanceId = INSTANCE_ID) => ({ instanceId, callNumber: ++calls });

    async function held(overrides: Partial<LeaseSpec> = {}): Promise<LeaseSpec> {
      const spec = leaseSpec(overrides);
      const outcome = await h.locks.acquire({ spec, stamp: stampOf(), mayWait: false }, inTime());
      if (outcome.kind !== 'granted') throw new Error(`not granted but ${outcome.kind}`);
      return spec;
    }

    async function queued(overrides: Partial<LeaseSpec> = {}) {
      const [spec, stamp] = [leaseSpec(overrides), stampOf()];
      const outcome = await h.locks.acquire({ spec, stamp, mayWait: true }, inTime());
      if (outcome.kind !== 'queued') throw new Error(`not queued but ${outcome.kind}`);
      return { spec, stamp };
    }

    const release = (spec: LeaseSpec) => h.locks.release(spec, inTime());
    const page = (query: Partial<ListQuery> = {}): Promise<LockPage> =>
      h.locks.list({ ...ALL, ...query }, inTime());
    const namesOf = ({ locks }: LockPage): string[] => locks.map(({ resource }) => resource);

    async function allPages(query: Partial<ListQuery> = {}, between = async () => {}): Promise<string[]> {
      const names: string[] = [];
      for (let after: string | undefined = ''; after !== undefined; ) {
        const { locks, next } = await page({ ...query, after });
        names.push(...locks.map(({ resource }) => resource));
        after = next;
        await between();
      }
      return names;
    }

    describe('list', () => {
      test('a list shows nothing where nothing is taken', async () => {
        expect(await page()).toEqual({ locks: [], next: undefined });
      });

      test('a list is in the order of the bytes of the names, whatever the page size', async () => {
        for (const resource of NAMES) await held({ resource });
        const inOrder = NAMES.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        expect(inOrder).not.toEqual(NAMES.toSorted()); // otherwise the names prove nothing
        for (const most of [1, 2, 7, 100]) expect(await allPages({ most })).toEqual(inOrder);
      });

      test('a list shows each lock as a look at that lock alone shows it', async () => {
        const holder = await held({ resource: 'r', owner: 'me', metadata: new Map([['job', 'nightly']]) });
        await queued({ resource: 'r', owner: 'next' });
        const { locks } = await page();
        expect(locks).toEqual([await h.locks.get('r', inTime())]);
        expect(locks).toMatchObject([
          {
            holders: [{ leaseIdHash: leaseIdHash(holder.leaseId), owner: 'me' }],
            holderCount: 1,
            waiters: [{ owner: 'next' }],
            queueLength: 1,
          },
        ]);
      });

      test('a list shows the oldest of many holders and waiters, and counts all', async () => {
        const mode: Mode = { kind: 'permits', permits: 2, limit: 100 };
        for (let i = 0; i < 12; i++) await held({ resource: 'r', owner: `holder ${i}`, mode });
        await held({ resource: 'r', mode: { kind: 'permits', permits: 1, limit: 60 } });
        for (let i = 0; i < 12; i++) await queued({ resource: 'r', owner: `waiter ${i}` });
        const ten = (what: string) =>
          Array.from({ length: LIMITS.listedPerPagedLock }, (_, i) => `${what} ${i}`);
        const expected = { holderCount: 13, permitsHeld: 25, permitsLimit: 60, queueLength: 12 };
        const [listed] = (await page()).locks;
        const [many] = await h.locks.getMany(['r'], inTime());
        for (const view of [listed, many]) {
          expect(view).toMatchObject(expected);
          expect(view?.holders.map(({ owner }) => owner)).toEqual(ten('holder'));
          expect(view?.waiters.map(({ owner }) => owner)).toEqual(ten('waiter'));
        }
        const alone = await h.locks.get('r', inTime());
        expect(alone).toMatchObject(expected);
        expect([alone.holders.length, alone.waiters.length]).toEqual([13, 12]);
      });

      test('a list leaves out leases that have lapsed, swept or not, and released ones', async () => {
        await held({ resource: 'lapses', ttlMs: 5_000 });
        await held({ resource: 'stays', ttlMs: 20_000, mode: SHARED });
        await held({ resource: 'stays', ttlMs: 5_000, mode: SHARED });
        await release(await held({ resource: 'released' }));
        await h.pass(5_000 + SKEW_ALLOWANCE_MS);
        const { locks } = await page();
        expect(locks).toMatchObject([{ resource: 'stays', holderCount: 1, holders: [{}] }]);
        expect(locks).toHaveLength(1);
      });

      test('a list shows what a new reign no longer renews until its deadline, and then not, even before it is swept', async () => {
        await held({ resource: 'r', ttlMs: 10_000 });
        await held({ resource: 'r 2', ttlMs: 20_000, mode: SHARED });
        await held({ resource: 'r 2', ttlMs: 10_000, mode: SHARED });
        await h.pass(8_000);
        await h.beginReign();
        const both = [
          { resource: 'r', holderCount: 1 },
          { resource: 'r 2', holderCount: 2, holders: [{}, {}] },
        ];
        expect((await page()).locks).toMatchObject(both);
        await h.pass(3_000);
        await h.stepUnseen(1_000);
        expect((await page()).locks).toMatchObject([{ resource: 'r 2', holderCount: 1, holders: [{}] }]);
      });

      test('locks that are gone leave nothing behind in the index of lists', async () => {
        for (const resource of NAMES) await held({ resource, ttlMs: 1_000, minHoldMs: 5_000 });
        expect(await h.remembered()).toBe(NAMES.length);
        await h.pass(5_000);
        expect(await h.remembered()).toBe(0);
      });

      test('a list tells held locks from those that only a min_hold keeps', async () => {
        await held({ resource: 'held' });
        await release(await held({ resource: 'kept', minHoldMs: 60_000 }));
        expect(await allPages()).toEqual(['held', 'kept']);
        expect(await allPages({ states: ['held'] })).toEqual(['held']);
        expect(await allPages({ states: ['min-hold'] })).toEqual(['kept']);
        await h.pass(60_000);
        expect(await allPages()).toEqual([]);
      });

      test('a list never shows a free lock, even while somebody waits for it in a quarantine', async () => {
        const holder = await held({ resource: 'r' });
        await h.beginReign();
        await queued({ resource: 'r' });
        await release(holder);
        expect((await h.locks.get('r', inTime())).queueLength).toBe(1);
        expect(await allPages()).toEqual([]);
      });

      test('a list finds locks by the beginning of their names', async () => {
        for (const resource of NAMES) await held({ resource });
        for (const prefix of ['a', 'a ', '\uff5e', '\u{1f600}', 'nothing', ...NAMES]) {
          const found = await allPages({ prefix, most: 2 });
          expect(found.toSorted()).toEqual(NAMES.filter((each) => each.startsWith(prefix)).toSorted());
        }
      });

      test('a list finds locks by the exact owner of a holder or waiter', async () => {
        await held({ resource: 'held', owner: 'me' });
        await held({ resource: 'waited for', owner: 'you' });
        await queued({ resource: 'waited for', owner: 'me' });
        for (const owner of ['me too', 'm', 'me"', 'ME']) await held({ resource: `not ${owner}`, owner });
        const gone = await held({ resource: 'left', owner: 'you' });
        const waiter = await queued({ resource: 'left', owner: 'me' });
        await h.locks.leave({ ...waiter.spec, stamp: waiter.stamp, keepPlaceMs: 5_000 }, inTime());
        expect(await allPages({ owner: 'me' })).toEqual(['held', 'waited for']);
        expect(await allPages({ owner: 'me"' })).toEqual(['not me"']);
        expect(await allPages({ owner: 'nobody' })).toEqual([]);
        await release(gone);
      });

      test('a page ends after a bounded search, and the next one goes on from there', async () => {
        const count = LIMITS.looksPerPage + 50;
        const names = Array.from({ length: count }, (_, i) => `r-${String(i).padStart(5, '0')}`);
        for (let from = 0; from < count; from += 500) {
          await Promise.all(
            names.slice(from, from + 500).map((resource) => held({ resource, owner: 'other' })),
          );
        }
        await held({ resource: 's', owner: 'me' });
        const first = await page({ owner: 'me' });
        expect(first.locks).toEqual([]);
        expect(first.next).toMatch(/^r-/);
        expect(await allPages({ owner: 'me' })).toEqual(['s']);
        expect(namesOf(await page({ most: 500 }))).toEqual(names.slice(0, 500));
      });

      test('a page ends when it becomes long, and the next one goes on from there', async () => {
        const metadata = new Map(Array.from({ length: 8 }, (_, i) => [`key-${i}`, 'x'.repeat(240)]));
        const names = Array.from({ length: 80 }, (_, i) => `r-${String(i).padStart(5, '0')}`);
        for (const resource of names) {
          await Promise.all(Array.from({ length: 10 }, () => held({ resource, mode: SHARED, metadata })));
        }
        const { locks, next } = await page();
        expect(locks.length).toBeGreaterThan(40); // 20 kB each
        expect(locks.length).toBeLessThan(60);
        expect(next).toBe(locks.at(-1)?.resource);
        expect(await allPages()).toEqual(names);
      });

      test('pages neither skip nor repeat a lock that stays, whatever comes and goes between them', async () => {
        await fc.assert(
          fc.asyncProperty(
            fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1 }),
            fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.boolean()), { maxLength: 40 }),
            fc.constantFrom('', 'a', 'a\uff5e', '\u{1f600}'),
            fc.constantFrom('', 'me'),
            fc.integer({ min: 1, max: 5 }),
            async (stay, changes, prefix, owner, most) => {
              const kept = await Promise.all(stay.map((resource) => held({ resource, owner: 'me' })));
              const others = new Map<string, LeaseSpec>();
              const left = changes.filter(([each]) => !stay.includes(each));
              const between = async () => {
                for (const [resource, comes] of left.splice(0, 3)) {
                  const there = others.get(resource);
                  if (comes && !there) others.set(resource, await held({ resource, owner: 'other' }));
                  if (!comes && there) await release(there);
                  if (!comes) others.delete(resource);
                }
              };
              await between();
              const found = await allPages({ prefix, owner, most }, between);
              expect(found).toHaveLength(new Set(found).size);
              const wanted = stay.filter((resource) => resource.startsWith(prefix));
              expect(found.filter((resource) => stay.includes(resource)).toSorted()).toEqual(
                wanted.toSorted(),
              );
              for (const spec of [...kept, ...others.values()]) await release(spec);
              expect(await allPages()).toEqual([]);
            },
          ),
          { numRuns: 40 },
        );
      });
    });

    describe('changes', () => {
      let notices: ChangeNotice[];
      let stop: () => void;

      beforeEach(async () => {
        notices = [];
        stop = h.locks.watchChanges((notice) => notices.push(notice));
        await eventually(() => notices.some(({ kind }) => kind === 'listening'), {
          what: 'that changes are heard',
          withinMs: 5_000,
          everyMs: 2,
        });
        expect(notices).toEqual([{ kind: 'listening', missed: true }]);
        notices.length = 0;
      });
      afterEach(() => stop());

      const told = () => notices.map((notice) => (notice.kind === 'changed' ? notice.resource : notice.kind));

      /** Returns when all earlier changes have been told: a change of another resource comes after them. */
      async function allTold(): Promise<string> {
        const { resource } = await held({ resource: `fence ${++calls}` });
        await eventually(() => told().includes(resource), { what: 'a notice', withinMs: 5_000, everyMs: 2 });
        return resource;
      }

      /** What the store tells while `work` runs. */
      async function toldOf(work: () => Promise<unknown>): Promise<string[]> {
        await allTold();
        notices.length = 0;
        await work();
        const fence = await allTold();
        return told().filter((each) => each !== fence);
      }

      test('a watcher is told when a caller is granted, queued, leaves or releases', async () => {
        let holder = leaseSpec();
        expect(await toldOf(async () => (holder = await held({ resource: 'r' })))).toEqual(['r']);
        let waiter = { spec: holder, stamp: stampOf() };
        expect(await toldOf(async () => (waiter = await queued({ resource: 'r' })))).toEqual(['r']);
        const left = () =>
          h.locks.leave({ ...waiter.spec, stamp: waiter.stamp, keepPlaceMs: 5_000 }, inTime());
        expect(await toldOf(left)).toEqual(['r']);
        expect(await toldOf(() => release(holder))).toEqual(['r']);
      });

      test('a watcher is told when the only holder releases, a stream or a unary call', async () => {
        // The numbers of streams are odd.
        for (let each = 0; each < 2; each++) {
          const holder = await held({ resource: 'r' });
          expect(await toldOf(() => release(holder))).toEqual(['r']);
        }
      });

      test('a watcher is told of a second shared holder, of a hand-over and of its confirmation', async () => {
        const first = await held({ resource: 'r', mode: SHARED });
        let second = first;
        expect(await toldOf(async () => (second = await held({ resource: 'r', mode: SHARED })))).toEqual([
          'r',
        ]);
        const { spec, stamp } = await queued({ resource: 'r' });
        expect(await toldOf(() => release(second))).toEqual(['r']);
        expect(await toldOf(() => release(first))).toEqual(['r']);
        expect(await toldOf(() => h.locks.confirm({ spec, stamp }, inTime()))).toEqual(['r']);
        expect(await toldOf(() => h.locks.confirm({ spec, stamp }, inTime()))).toEqual([]);
      });

      test('a watcher is not told of what changes nothing', async () => {
        const holder = await held({ resource: 'r' });
        const { spec, stamp } = await queued({ resource: 'r' });
        const { holders } = await h.locks.get('r', inTime());
        const fencingToken = holders[0]?.fencingToken ?? 0n;
        const renewal = { resource: 'r', leaseId: holder.leaseId, fencingToken, ttlMs: 20_000 };
        expect(await toldOf(() => h.locks.renew([renewal], inTime()))).toEqual([]);
        const refused = () =>
          h.locks.acquire({ spec: leaseSpec({ resource: 'r' }), stamp: stampOf(), mayWait: false }, inTime());
        expect(await toldOf(refused)).toEqual([]);
        expect(
          await toldOf(() => h.locks.acquire({ spec, stamp, mayWait: true, asksAgain: true }, inTime())),
        ).toEqual([]);
        expect(
          await toldOf(() => h.locks.acquire({ spec: holder, stamp: stampOf(), mayWait: false }, inTime())),
        ).toEqual([]);
        expect(await toldOf(() => h.locks.advance('r', inTime()))).toEqual([]);
        expect(await toldOf(() => release(leaseSpec({ resource: 'r' })))).toEqual([]);
        expect(await toldOf(() => h.locks.get('r', inTime()))).toEqual([]);
      });

      test('a watcher is told when a lease lapses and when a min_hold is over', async () => {
        await held({ resource: 'lapses', ttlMs: 2_000 });
        await release(await held({ resource: 'kept', minHoldMs: 6_000 }));
        expect(await toldOf(() => h.pass(3_900))).toEqual([]);
        expect(await toldOf(() => h.pass(100))).toEqual(['lapses']);
        expect(await toldOf(() => h.pass(2_000))).toEqual(['kept']);
      });

      test('a watcher that reads after it began to listen has seen each earlier change and is told of each later one', async () => {
        stop();
        const heard: ChangeNotice[] = [];
        const acquired: string[] = [];
        const seen = new Set<string>();
        let over = false;
        const busy = (async () => {
          for (let i = 0; !over; i++) {
            acquired.push((await held({ resource: `busy ${i}` })).resource);
            await nextTurn();
          }
        })();
        await eventually(() => acquired.length > 20, { what: 'some locks', withinMs: 5_000, everyMs: 2 });
        stop = h.locks.watchChanges((notice) => heard.push(notice));
        await eventually(() => heard.length > 0, {
          what: 'that changes are heard',
          withinMs: 5_000,
          everyMs: 1,
        });
        for (const resource of await allPages()) seen.add(resource);
        const before = acquired.length;
        await eventually(() => acquired.length > before + 20, { what: 'more', withinMs: 5_000, everyMs: 2 });
        over = true;
        await busy;
        const news = () =>
          new Set(heard.map((notice) => (notice.kind === 'changed' ? notice.resource : notice.kind)));
        await eventually(() => acquired.every((each) => seen.has(each) || news().has(each)), {
          what: 'the news of every lock that was not in the snapshot',
          withinMs: 5_000,
        });
        expect(seen.size).toBeGreaterThan(20);
      });

      test('a watcher that has stopped listening is told of no change', async () => {
        stop();
        notices.length = 0;
        await held({ resource: 'r' });
        const others: ChangeNotice[] = [];
        stop = h.locks.watchChanges((notice) => others.push(notice));
        await eventually(() => others.length > 0, { what: 'that changes are heard', withinMs: 5_000 });
        await held({ resource: 's' });
        await eventually(() => others.length > 1, { what: 'a change', withinMs: 5_000 });
        expect(others[1]).toEqual({ kind: 'changed', resource: 's' });
        expect(notices).toEqual([]);
      });
    });
  });
}
