// The watches of one instance against a store whose answers the test holds back and a clock that it moves: what is told
// in which order, what one read serves, and when a watch is ended.

import { beforeEach, describe, expect, test } from 'vitest';
import { CoordinationError } from '../../src/domain/errors.ts';
import { LIMITS } from '../../src/domain/limits.ts';
import type { LockView } from '../../src/domain/lock.ts';
import { LockWatch } from '../../src/service/lock-watch.ts';
import type { Flow, WatchEvent, WatchSink } from '../../src/service/watch-call.ts';
import { type WatchFilter, WatchIndex } from '../../src/service/watch-index.ts';
import type { ChangeNotice, ListQuery, LockPage, LockStore } from '../../src/store/lock-store.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** The caller makes no difference here. */
const NOBODY = { caller: { name: '', role: 'client' as const }, peer: '' };

const EVERYTHING: WatchFilter = { kind: 'prefix', prefix: '' };

/** Versions take the place of holders: a larger one is newer. */
function view(resource: string, version: number): LockView {
  return {
    resource,
    holders: [],
    holderCount: version,
    permitsHeld: 0,
    permitsLimit: 0,
    waiters: [],
    queueLength: 0,
    minHoldRemainingMs: 0,
  };
}

class FakeStore {
  /** The newest version of each lock. */
  readonly versions = new Map<string, number>();
  readonly reads: (readonly string[])[] = [];
  readonly pages: ListQuery[] = [];
  pageSize = 100;
  isBroken = false;
  /** While this is on, answers wait here, decided as of when they were asked. */
  holdsBack = false;
  readonly #held: (() => void)[] = [];
  readonly #listeners = new Set<(notice: ChangeNotice) => void>();

  /** The store has told a listener so. */
  isHeard = false;

  get listeners(): number {
    return this.#listeners.size;
  }

  watchChanges(listener: (notice: ChangeNotice) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(notice: ChangeNotice): void {
    if (notice.kind === 'listening') this.isHeard = true;
    for (const listener of this.#listeners) listener(notice);
  }

  change(...resources: string[]): void {
    for (const resource of resources) {
      this.versions.set(resource, (this.versions.get(resource) ?? 0) + 1);
      this.tell({ kind: 'changed', resource });
    }
  }

  async getMany(resources: readonly string[]): Promise<readonly LockView[]> {
    this.reads.push(resources);
    const views = resources.map((resource) => view(resource, this.versions.get(resource) ?? 0));
    await this.#turn();
    return views;
  }

  async list(query: ListQuery): Promise<LockPage> {
    this.pages.push(query);
    const names = [...this.versions.keys()].sort().filter((name) => name > query.after);
    const found = names.slice(0, Math.min(query.most, this.pageSize));
    const locks = found.map((resource) => view(resource, this.versions.get(resource) ?? 0));
    const page = { locks, next: found.length < names.length ? found.at(-1) : undefined };
    await this.#turn();
    return page;
  }

  /** Answers the questions that wait, the oldest first, or only this many of them. */
  async answer(most = Number.POSITIVE_INFINITY, fromTheEnd = false): Promise<void> {
    for (let i = 0; i < most && this.#held.length > 0; i++)
      (fromTheEnd ? this.#held.pop() : this.#held.shift())?.();
    await new Promise((resolve) => setImmediate(resolve));
  }

  async #turn(): Promise<void> {
    if (this.isBroken) throw new CoordinationError('REDIS_UNAVAILABLE', 'away');
    if (this.holdsBack) await new Promise<void>((resolve) => this.#held.push(resolve));
  }
}

/** A client that reads at once, or when it is told to. */
class Client implements WatchSink<LockView>, Flow {
  readonly flow = this;
  readonly weight = 1;
  readonly events: string[] = [];
  isReading = true;
  passedOn = 0;
  readonly #unsent = new Map<string, string>();
  #resume: (() => void)[] = [];
  end: unknown;

  get unsent(): number {
    return this.#unsent.size;
  }

  tell(event: WatchEvent<LockView>): void {
    const text = event.kind === 'state' ? `${event.name}=${event.state.holderCount}` : event.kind;
    this.#unsent.set(event.kind === 'state' ? event.name : event.kind, text);
    if (this.isReading) this.read();
  }

  read(most = Number.POSITIVE_INFINITY): void {
    let left = most;
    for (const [slot, text] of this.#unsent) {
      if (left-- <= 0) return;
      this.#unsent.delete(slot);
      this.events.push(text);
      this.passedOn++;
    }
    for (const resume of this.#resume) resume();
    this.#resume = [];
  }

  async emptied(): Promise<void> {
    if (this.unsent > 0) await new Promise<void>((resolve) => this.#resume.push(resolve));
  }

  discard(): void {
    this.#unsent.clear();
  }

  get reason(): string {
    return this.end instanceof CoordinationError ? this.end.code : String(this.end);
  }
}

let store: FakeStore;
let clock: ManualClock;
let watch: LockWatch;

beforeEach(() => {
  store = new FakeStore();
  clock = new ManualClock();
  // The watches use only what the fake has of a store.
  watch = new LockWatch({ store: store as unknown as LockStore, clock, commandTimeoutMs: 1_000 });
});

function open(
  filter: WatchFilter = EVERYTHING,
  client = new Client(),
  cancel = new AbortController(),
): Client {
  const context = { arrivedAtMs: 0, deadlineMs: Number.POSITIVE_INFINITY, ended: cancel.signal, ...NOBODY };
  watch.watch(filter, context, client).catch((error: unknown) => {
    client.end = error;
  });
  return client;
}

async function listening(): Promise<void> {
  store.tell({ kind: 'listening', missed: true });
  await clock.pass(0);
}

async function opened(filter?: WatchFilter, client?: Client): Promise<Client> {
  const opening = open(filter, client);
  if (store.isHeard) await clock.pass(0);
  else await listening();
  expect(opening.events.at(-1)).toBe('snapshot-complete');
  opening.events.length = 0;
  return opening;
}

describe('the snapshot', () => {
  test('a snapshot is read only when changes are heard', async () => {
    store.change('a');
    const client = open();
    await clock.pass(500);
    expect(store.pages).toHaveLength(0);
    await listening();
    expect(client.events).toEqual(['a=1', 'snapshot-complete']);
  });

  test('a watch fails within the command timeout while changes cannot be heard', async () => {
    const client = open();
    await clock.pass(1_001);
    expect(client.reason).toBe('REDIS_UNAVAILABLE');
    expect([watch.size, store.listeners, clock.timers]).toEqual([0, 0, 0]);
  });

  test('a change while a page is read is told after that page', async () => {
    store.change('a', 'b');
    store.holdsBack = true;
    const client = open();
    await listening();
    store.change('a'); // the page that is on its way shows it before this one
    await store.answer(1);
    await store.answer();
    expect(client.events).toEqual(['a=1', 'b=1', 'a=2', 'snapshot-complete']);
  });

  test('a snapshot does not read twice what a later page will show', async () => {
    store.change('a', 'b', 'c');
    store.pageSize = 1;
    store.holdsBack = true;
    const client = open();
    await listening();
    store.change('c', 'a');
    for (let i = 0; i < 10; i++) await store.answer();
    expect(client.events).toEqual(['a=1', 'a=2', 'b=1', 'c=2', 'snapshot-complete']);
    expect(store.reads).toEqual([['a']]);
  });

  test('a snapshot tells what changed at its very end', async () => {
    store.change('a');
    store.holdsBack = true;
    const client = open();
    await listening();
    store.change('a');
    await store.answer(); // the page
    store.change('a'); // while what has changed is read again
    store.holdsBack = false;
    await store.answer();
    await clock.pass(100);
    expect(client.events).toEqual(['a=1', 'a=2', 'snapshot-complete', 'a=3']);
  });

  test('no state that was read before a snapshot follows it', async () => {
    const first = await opened();
    store.holdsBack = true;
    store.change('a');
    await clock.pass(50);
    expect(store.reads).toEqual([['a']]); // for the first one, and held back
    store.versions.set('a', 2);
    const second = open();
    await clock.pass(0);
    await store.answer(1, true); // the page overtakes
    expect(second.events).toEqual(['a=2', 'snapshot-complete']);
    store.tell({ kind: 'changed', resource: 'a' });
    store.holdsBack = false;
    await store.answer();
    await clock.pass(100);
    expect(first.events).toEqual(['a=1', 'a=2']);
    expect(second.events).toEqual(['a=2', 'snapshot-complete', 'a=2']);
  });

  test('a snapshot of any length goes on page by page as its client reads', async () => {
    const names = Array.from({ length: LIMITS.unreadPerWatch + 500 }, (_, i) => String(i).padStart(6, '0'));
    store.change(...names);
    const client = new Client();
    client.isReading = false;
    open(EVERYTHING, client);
    await listening();
    for (let i = 0; i < 60; i++) await clock.pass(1_000).then(() => client.read(2));
    expect(store.pages.length).toBeLessThan(4);
    client.isReading = true;
    client.read();
    await clock.pass(1_000);
    expect(client.end).toBeUndefined();
    const told = client.events.filter((event) => event !== 'heartbeat');
    expect(told).toEqual([...names.map((name) => `${name}=1`), 'snapshot-complete']);
  });

  test('when many watches begin together, only a few snapshots are read at once', async () => {
    store.change('a');
    store.holdsBack = true;
    const clients = Array.from({ length: 100 }, () => open());
    await listening();
    expect(store.pages).toHaveLength(4);
    for (let i = 0; i < 100; i++) await store.answer();
    for (const client of clients) expect(client.events).toEqual(['a=1', 'snapshot-complete']);
  });

  test('no snapshot is read for a client that went away before', async () => {
    const cancel = new AbortController();
    const gone = open(EVERYTHING, new Client(), cancel);
    const other = open({ kind: 'names', names: ['x'] });
    cancel.abort();
    await clock.pass(0);
    await listening();
    expect(gone.reason).toBe('CANCELLED');
    expect(store.pages).toEqual([]);
    expect(other.events).toEqual(['x=0', 'snapshot-complete']);
  });

  test('a snapshot of named locks tells each of them, also a free one', async () => {
    store.change('b');
    const client = open({ kind: 'names', names: ['a', 'b'] });
    await listening();
    expect(client.events).toEqual(['a=0', 'b=1', 'snapshot-complete']);
  });

  test('a snapshot that cannot be read ends the watch', async () => {
    store.isBroken = true;
    const client = open();
    await listening();
    expect(client.reason).toBe('REDIS_UNAVAILABLE');
  });
});

describe('changes', () => {
  test('a change of one lock is read once for a thousand watches', async () => {
    const clients = Array.from({ length: 1_000 }, () => open());
    await listening();
    store.change('a', 'a', 'b', 'a');
    await clock.pass(100);
    expect(store.reads).toEqual([['a', 'b']]);
    for (const client of clients) expect(client.events).toEqual(['snapshot-complete', 'a=3', 'b=1']);
  });

  test('a change is told at once, and what follows within 50 ms together', async () => {
    const client = await opened();
    store.change('a', 'b');
    await clock.pass(0);
    expect(client.events).toEqual(['a=1', 'b=1']);
    store.change('c');
    await clock.pass(40);
    store.change('d', 'c');
    await clock.pass(9);
    expect(store.reads).toEqual([['a', 'b']]);
    await clock.pass(1);
    expect(store.reads).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    expect(client.events).toEqual(['a=1', 'b=1', 'c=2', 'd=1']);
    await clock.pass(50);
    store.change('a');
    await clock.pass(0);
    expect(client.events.at(-1)).toBe('a=2');
  });

  test('a change is told to the watches that it concerns', async () => {
    const filters: WatchFilter[] = [
      EVERYTHING,
      { kind: 'prefix', prefix: 'job/' },
      { kind: 'prefix', prefix: 'job/1' },
      { kind: 'names', names: ['job/1', 'x'] },
    ];
    const clients = await Promise.all(filters.map((filter) => opened(filter)));
    store.change('job/1', 'job/2', 'x', 'y');
    await clock.pass(100);
    expect(clients.map(({ events }) => events)).toEqual([
      ['job/1=1', 'job/2=1', 'x=1', 'y=1'],
      ['job/1=1', 'job/2=1'],
      ['job/1=1'],
      ['job/1=1', 'x=1'],
    ]);
  });

  test('a change that concerns no watch is not read', async () => {
    await opened({ kind: 'prefix', prefix: 'job/' });
    store.change('x');
    await clock.pass(1_000);
    expect(store.reads).toEqual([]);
  });

  test('a change that cannot be read now is read later', async () => {
    const client = await opened();
    store.isBroken = true;
    store.change('a');
    await clock.pass(5_000);
    expect(client.events).toEqual([]); // no heartbeat either, because there is something new
    store.isBroken = false;
    await clock.pass(500);
    expect(client.events).toEqual(['a=1']);
  });

  test('nobody listens for changes when the last watch has ended', async () => {
    const cancel = new AbortController();
    const client = open(EVERYTHING, new Client(), cancel);
    await listening();
    cancel.abort();
    await clock.pass(1_000);
    expect(client.reason).toBe('CANCELLED');
    expect([watch.size, store.listeners, clock.timers]).toEqual([0, 0, 0]);
  });
});

describe('in silence', () => {
  test('a watch says something at least every 15 s while changes are heard', async () => {
    const client = await opened();
    await clock.pass(15_000);
    expect(new Set(client.events)).toEqual(new Set(['heartbeat']));
  });

  test('a watch says nothing while changes cannot be heard, and ends within 15 s of its last word', async () => {
    const all = await opened();
    const named = await opened({ kind: 'names', names: ['a'] });
    for (let heartbeats = 0; heartbeats < 2; ) {
      await clock.pass(100);
      heartbeats = all.events.length;
    }
    await clock.pass(3_900); // just before the next
    store.tell({ kind: 'deaf' });
    const before = [all.events.length, named.events.length];
    await clock.pass(9_000);
    expect([all.events.length, named.events.length]).toEqual(before);
    expect(all.end).toBeUndefined();
    await clock.pass(2_000);
    for (const client of [all, named]) expect(client.reason).toBe('WATCH_INTERRUPTED');
    expect(all.end).toMatchObject({ details: { retryAfterMs: expect.any(Number) } });
  });

  test('a watch ends when changes cannot be read for 10 s', async () => {
    const client = await opened();
    store.isBroken = true;
    store.change('a');
    await clock.pass(9_500);
    expect(client.end).toBeUndefined();
    await clock.pass(2_000);
    expect(client.reason).toBe('WATCH_INTERRUPTED');
  });
});

describe('where changes may have been missed', () => {
  test('after a gap, named locks are read again, and a watch of all locks begins again', async () => {
    const named = await opened({ kind: 'names', names: ['a', 'b'] });
    const all = await opened();
    store.tell({ kind: 'deaf' });
    store.versions.set('a', 5); // nobody hears of it
    await listening();
    await clock.pass(100);
    expect(named.events).toEqual(['a=5', 'b=0']);
    expect(all.reason).toBe('WATCH_INTERRUPTED');
  });

  test('a gap during a snapshot ends a watch by prefix, and lets a watch by names read again', async () => {
    store.holdsBack = true;
    const all = open();
    const named = open({ kind: 'names', names: ['a'] });
    await listening();
    store.versions.set('a', 7);
    await listening();
    store.holdsBack = false;
    await store.answer();
    await clock.pass(100);
    expect(all.reason).toBe('WATCH_INTERRUPTED');
    expect(named.events).toEqual(['a=0', 'snapshot-complete', 'a=7']);
  });

  test('nothing happens after a pause that missed nothing', async () => {
    const all = await opened();
    store.tell({ kind: 'deaf' });
    store.tell({ kind: 'listening', missed: false });
    store.change('a');
    await clock.pass(100);
    expect(all.events).toEqual(['a=1']);
  });
});

describe('a client that does not read', () => {
  test('one state of each lock waits for a client that does not read, the newest', async () => {
    const client = await opened();
    client.isReading = false;
    for (let i = 0; i < 20; i++) {
      store.change('a', 'b');
      await clock.pass(100);
    }
    expect(client.unsent).toBe(2);
    client.read();
    expect(client.events).toEqual(['a=20', 'b=20']);
  });

  test('a client that does not read is cut off after 30 s', async () => {
    const client = await opened();
    client.isReading = false;
    store.change('a', 'b');
    await clock.pass(29_000);
    client.read(1);
    await clock.pass(29_000);
    expect(client.end).toBeUndefined();
    await clock.pass(2_000);
    expect(client.reason).toBe('WATCHER_TOO_SLOW');
    expect(client.unsent).toBe(0);
  });

  test('a client is cut off when too much waits for it', async () => {
    const client = await opened();
    client.isReading = false;
    store.change(...Array.from({ length: LIMITS.unreadPerWatch }, (_, i) => `r-${i}`));
    await clock.pass(20_000);
    expect([client.unsent, client.end]).toEqual([LIMITS.unreadPerWatch, undefined]);
    store.change('one more');
    await clock.pass(100);
    expect(client.reason).toBe('WATCHER_TOO_SLOW');
  });
});

test('more changes than the store can read end all watches', async () => {
  const client = await opened();
  store.isBroken = true;
  for (let i = 0; i <= LIMITS.unreadChanges; i++) store.change(`r-${i}`);
  await clock.pass(0);
  expect(client.reason).toBe('WATCH_INTERRUPTED');
});

test('a drain ends all watches, and no new one begins', async () => {
  const client = await opened();
  watch.drain();
  await clock.pass(0);
  expect(client.reason).toBe('DRAINING');
  const late = open();
  await clock.pass(0);
  expect(late.reason).toBe('DRAINING');
});

test('an instance refuses more watches than its limit', async () => {
  for (let i = 0; i < LIMITS.watchesPerInstance; i++) open({ kind: 'names', names: [`r-${i}`] });
  const late = open();
  await clock.pass(0);
  expect(late.reason).toBe('OVERLOADED');
});

test('the index finds the watchers of a name, and forgets those that left', () => {
  const index = new WatchIndex<string>();
  const filters: Record<string, WatchFilter> = {
    all: EVERYTHING,
    a: { kind: 'prefix', prefix: 'a' },
    'also a': { kind: 'prefix', prefix: 'a' },
    'a/b': { kind: 'prefix', prefix: 'a/b' },
    named: { kind: 'names', names: ['a', 'a/b'] },
  };
  const of = (name: string) => [...index.of(name)].sort();
  for (const [watcher, filter] of Object.entries(filters)) index.add(watcher, filter);
  expect(of('a')).toEqual(['a', 'all', 'also a', 'named']);
  expect(of('a/b')).toEqual(['a', 'a/b', 'all', 'also a', 'named']);
  expect(of('a/bc')).toEqual(['a', 'a/b', 'all', 'also a']);
  expect(of('b')).toEqual(['all']);
  index.remove('a', { kind: 'prefix', prefix: 'a' });
  index.remove('all', EVERYTHING);
  expect(of('a')).toEqual(['also a', 'named']);
  index.remove('also a', { kind: 'prefix', prefix: 'a' });
  index.remove('named', filters.named ?? EVERYTHING);
  expect(of('a')).toEqual([]);
  expect(index.concerns('a')).toBe(false);
  expect(of('a/bc')).toEqual(['a/b']);
});
