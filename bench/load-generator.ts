// Makes the load in a process of its own, so that only the server is measured. It gets its orders (load-order.ts) from
// the parent, one after the other, and answers each with what it saw.
import type { LoadOrder } from './load-order.ts';
import { acquireMany } from './loads/acquire-many.ts';
import { ClientHolds } from './loads/client-holds.ts';
import { fill } from './loads/fill.ts';
import { HandOverQueue } from './loads/hand-over.ts';
import { Holds } from './loads/holds.ts';
import { list, writeOrCheck } from './loads/list.ts';
import { Holders, modes } from './loads/modes.ts';
import { openLoop } from './loads/open-loop.ts';
import { operations } from './loads/operations.ts';
import { Pinger } from './loads/pinger.ts';
import { LeaseCrowd } from './loads/reconnect.ts';
import { uncontended } from './loads/uncontended.ts';
import { UnitCalls } from './loads/unit-calls.ts';
import { Watchers } from './loads/watchers.ts';

let queue: HandOverQueue | undefined;
let holds: Holds | undefined;
let clientHolds: ClientHolds | undefined;
let holders: Holders | undefined;
let crowd: LeaseCrowd | undefined;
let watchers: Watchers | undefined;
let pinger: Pinger | undefined;
let unitCalls: UnitCalls | undefined;

async function obey(order: LoadOrder): Promise<unknown> {
  switch (order.kind) {
    case 'uncontended':
      return uncontended(order);
    case 'open-loop':
      return openLoop(order);
    case 'modes':
      return modes(order);
    case 'join':
      holders ??= new Holders(order.address, order.mode);
      return holders.hold(order.holders);
    case 'leave':
      await holders?.release();
      holders = undefined;
      return;
    case 'acquire-many':
      return acquireMany(order);
    case 'fill':
      return fill(order);
    case 'operations':
      return operations(order);
    case 'unit-calls':
      unitCalls ??= new UnitCalls(order.address);
      return unitCalls.make(order);
    case 'queue':
      queue = new HandOverQueue(order.address, order.resource, order.waiters);
      return queue.fill();
    case 'expect':
      return queue?.expect(order.leaseIds);
    case 'cycle':
      return queue?.cycle(order.forMs);
    case 'pass':
      return queue?.pass(order.forMs, order.isWarmUp);
    case 'empty':
      return queue?.close();
    case 'hold':
      holds = new Holds(order.address, order.streams, order.ttlMs);
      return holds.open(order.streams);
    case 'watch':
      return holds?.watch(order.forMs);
    case 'ping':
      pinger = new Pinger(order.addresses);
      return;
    case 'longest-ping':
      return pinger?.close();
    case 'hold-by-client':
      clientHolds = new ClientHolds(order.address);
      return clientHolds.open(order);
    case 'end':
      clientHolds?.close();
      return holds?.close();
    case 'crowd':
      crowd = new LeaseCrowd(order.address, order.count);
      return crowd.open(order.ttlMs);
    case 'reconnected':
      return crowd?.reconnected();
    case 'disperse':
      return crowd?.close();
    case 'write':
    case 'check':
      return writeOrCheck(order);
    case 'list':
      return list(order);
    case 'watchers':
      watchers = new Watchers(order.address, order.what, order.watchers);
      return watchers.open();
    case 'change':
      return watchers?.change(order.times);
    case 'stop-watching':
      return watchers?.close();
  }
}

process.on('message', (order: LoadOrder) => {
  obey(order).then(
    (seen) => process.send?.(seen ?? null),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
