// Which curves are drawn, and how each should grow: the statements that the plots let everybody check. A curve is named
// by its scenario and its own name (see Figure.curve); a curve without an entry is not drawn.

export type Order = 'O(1)' | 'O(log n)' | 'O(n)';

export interface Expectation {
  /** What the plot shows, in words. */
  readonly title: string;
  /** What n is. */
  readonly n: string;
  readonly order: Order;
  /** Why it should grow like this. */
  readonly because: string;
  /** What the figures are compared with; undefined if that has no curve of its own. */
  readonly floor?: string;
}

/** The factor by which n costs more than one. */
export const GROWTH: Readonly<Record<Order, (n: number) => number>> = {
  'O(1)': () => 1,
  'O(log n)': (n) => Math.log2(n + 1),
  'O(n)': (n) => n,
};

const BARE = 'floor: a bare grpc-js server, one script a call';
const CALLERS = 'callers, each with a lock of its own';
const PROCESSES = 'server processes on one Redis';
const WAITERS = 'callers in the queue of one lock';
const STREAMS = 'open Hold streams';

export const EXPECTED: Readonly<Record<string, Expectation>> = {
  'uncontended: callers: server CPU per call': {
    title: 'What Acquire or Release costs the server',
    n: CALLERS,
    order: 'O(1)',
    because: 'a call does the same however many others call; together they share wake-ups',
    floor: BARE,
  },
  'uncontended: callers: Redis CPU per call': {
    title: 'What Acquire or Release costs Redis',
    n: CALLERS,
    order: 'O(1)',
    because: 'one script of a fixed number of commands',
    floor: BARE,
  },
  'uncontended: callers: Acquire p50': {
    title: 'How long Acquire takes when all call without a pause',
    n: CALLERS,
    order: 'O(n)',
    because: 'one server answers them one after the other',
    floor: BARE,
  },
  'processes: processes: CPU of the servers per call': {
    title: 'What a call costs the servers together',
    n: PROCESSES,
    order: 'O(1)',
    because: 'servers ask each other nothing',
  },
  'processes: processes: Redis CPU per call': {
    title: 'What a call costs Redis',
    n: PROCESSES,
    order: 'O(1)',
    because: 'one script each, from whichever process',
  },
  'hand-over: waiters: p50': {
    title: 'From Release to the grant of the next in the queue',
    n: WAITERS,
    order: 'O(1)',
    because: 'only the first is told; the others sleep',
    floor: 'floor: one Release of a bare server',
  },
  'hand-over: waiters: Redis commands per hand-over': {
    title: 'Commands of Redis per hand-over',
    n: WAITERS,
    order: 'O(1)',
    because: 'nobody polls',
  },
  'holds: streams: memory per lease': {
    title: 'Memory of the server per held stream',
    n: STREAMS,
    order: 'O(1)',
    because: 'a stream keeps only its own state',
    floor: 'floor: a bare grpc-js server with as many streams',
  },
  'holds: streams: server CPU per renewal': {
    title: 'What a renewal costs the server',
    n: STREAMS,
    order: 'O(1)',
    because: 'those that are due go in batches',
    floor: 'floor: a bare grpc-js server with as many streams',
  },
  'holds: streams: Redis commands': {
    title: 'Commands of Redis a second for renewals',
    n: STREAMS,
    order: 'O(n)',
    because: 'each lease is renewed after a quarter of its TTL',
  },
  'modes: holders present, shared: Redis CPU per call': {
    title: 'What a shared lease costs Redis, beside those that are there',
    n: 'shared leases that stay',
    order: 'O(1)',
    because: 'the lock keeps a count of its holders',
    floor: 'exclusive locks, each its own',
  },
  'modes: holders present, permits: Redis CPU per call': {
    title: 'What permits cost Redis, beside those that are taken',
    n: 'leases of permits that stay',
    order: 'O(1)',
    because: 'the lock keeps a count of its permits',
    floor: 'exclusive locks, each its own',
  },
  'acquire-many: resources: server CPU per resource': {
    title: 'What AcquireMany costs the server per resource',
    n: 'resources of one call',
    order: 'O(1)',
    because: 'each is looked at once',
    floor: 'one Acquire after the other',
  },
  'acquire-many: resources: until all are taken, p50': {
    title: 'How long AcquireMany takes',
    n: 'resources of one call',
    order: 'O(n)',
    because: 'one script takes them one after the other',
    floor: 'one Acquire after the other',
  },
  'watch: watchers of locks: server CPU per message': {
    title: 'What a message to a watcher of a lock costs the server',
    n: 'watchers of one lock',
    order: 'O(1)',
    because: 'a change is read once for all of them',
    floor: 'floor: a bare grpc-js server with as many streams',
  },
  'watch: watchers of operations: server CPU per message': {
    title: 'What a message to a watcher of an operation costs the server',
    n: 'watchers of one operation',
    order: 'O(1)',
    because: 'a change is read once for all of them',
    floor: 'floor: a bare grpc-js server with as many streams',
  },
  'list: operations: page of 100 at the end, p50': {
    title: 'A page of 100 at the end of a long list of operations',
    n: 'operations in the list',
    order: 'O(log n)',
    because: 'a page begins with a look-up in a sorted index',
    floor: 'floor: a script that reads as many records',
  },
  'list: operations: from the first to the last': {
    title: 'All pages of a list of operations',
    n: 'operations in the list',
    order: 'O(n)',
    because: 'each page costs the same',
  },
  'list: locks: page of 100 at the end, p50': {
    title: 'A page of 100 at the end of a long list of locks',
    n: 'locks in the list',
    order: 'O(log n)',
    because: 'a page begins with a look-up in a sorted index',
    floor: 'floor: a script that reads as many records',
  },
  'list: locks: from the first to the last': {
    title: 'All pages of a list of locks',
    n: 'locks in the list',
    order: 'O(n)',
    because: 'each page costs the same',
  },
  'hand-over: waiters that queue again at once: server CPU per hand-over': {
    title: 'What a hand-over costs the server when all queue again at once',
    n: WAITERS,
    order: 'O(1)',
    because: 'one gives the lock back, one gets it, one joins the queue',
  },
};
