// How leases share streams in the client core: with a clock that a test moves, and a server that is a function.
import { credentials, status } from '@grpc/grpc-js';
import { expect, onTestFinished, test } from 'vitest';
import type { Lease } from '../../generated/leasehold/v1/lease.ts';
import { AtRiskReason, LostReason } from '../../generated/leasehold/v1/lease_events.ts';
import { Channel } from '../../src/client/core/channel.ts';
import { Keeper } from '../../src/client/core/keeper.ts';
import type { Kept } from '../../src/client/core/kept.ts';
import { type LeaseMessage, leaseKey } from '../../src/client/core/lease-call.ts';
import { StreamCall } from '../../src/client/core/stream-call.ts';
import { FakeStream } from '../support/fake-streams.ts';
import { ManualClock } from '../support/manual-clock.ts';

type Stream = FakeStream<readonly string[], LeaseMessage>;
type Event = LeaseMessage['event'];

/** A lease whose holder believes in it for as long as the test wants. */
class Held implements Kept<LeaseMessage> {
  readonly key: string;
  readonly resource: string;
  ttlMs = 60_000;
  leftMs = 15_000;
  readonly reopenedBy: string[] = [];
  renewals = 0;
  onLost: () => void = () => {};

  constructor(resource: string) {
    this.resource = resource;
    this.key = leaseKey({ resource, leaseId: 'ID' });
  }

  remainingMs(): number {
    return this.leftMs;
  }

  heard(_from: unknown, { event }: LeaseMessage): void {
    if (event?.$case === 'renewed') this.renewals++;
    if (event?.$case === 'lost') this.onLost();
  }

  reopened(why: string): void {
    this.reopenedBy.push(why);
  }
}

const RENEWED: Event = { $case: 'renewed', value: {} as Lease }; // the fake holders don't read it
const MOVED: Event = { $case: 'moved', value: {} };
const LOST: Event = { $case: 'lost', value: { reason: LostReason.LOST_REASON_EXPIRED } };
const DRAINING: Event = { $case: 'draining', value: { moveWithin: undefined } };
const AWAY: Event = {
  $case: 'atRisk',
  value: { reason: AtRiskReason.AT_RISK_REASON_STORE_UNAVAILABLE },
};

function rig({ jitter = 0, instances = 2 } = {}) {
  const clock = new ManualClock();
  const channel = new Channel({
    addresses: Array.from({ length: instances }, (_, index) => `127.0.0.1:${index + 1}`),
    credentials: credentials.createInsecure(),
    clock,
    random: () => jitter,
  });
  onTestFinished(() => channel.close());
  const streams: Stream[] = [];
  const keeper = new Keeper<Held, LeaseMessage>({
    channel,
    most: 64,
    gatherMs: 50,
    open: (things, renewFor) => () => {
      expect(renewFor.seconds).toBe(20n);
      const stream: Stream = new FakeStream(
        things.map(({ resource }) => resource),
        clock.monotonicMs(),
      );
      streams.push(stream);
      return stream.call;
    },
    keyOf: leaseKey,
  });
  const say = (stream: Stream | undefined, event: Event, resources = stream?.request ?? []): void => {
    for (const resource of resources) {
      stream?.say({ resource, leaseId: 'id', event } as LeaseMessage);
    }
  };
  let made = 0;
  const held = (count: number): Held[] => Array.from({ length: count }, () => new Held(`r${made++}`));
  /** Leases with a stream that has renewed them. */
  const kept = (count: number): Held[] => {
    const leases = held(count);
    for (const lease of leases) keeper.join(lease);
    clock.advance(50);
    for (const stream of streams) if (!stream.isCancelled) say(stream, RENEWED);
    return leases;
  };
  const sizes = (): number[] => streams.map(({ request }) => request.length);
  return { clock, channel, keeper, streams, say, held, kept, sizes };
}

test('Leases that need a stream within 50 ms share calls, each with 64 leases at most', () => {
  const { clock, keeper, held, sizes } = rig();
  for (const lease of held(100)) keeper.join(lease);
  clock.advance(20);
  for (const lease of held(30)) keeper.join(lease);
  clock.advance(29);
  expect(sizes()).toEqual([]);
  clock.advance(100);
  expect(sizes()).toEqual([64, 64, 2]);
});

test('A lease that is near its deadline waits less for others', () => {
  const { clock, keeper, held, sizes } = rig();
  for (const lease of held(1)) {
    lease.leftMs = 200;
    keeper.join(lease);
  }
  clock.advance(10);
  expect(sizes()).toEqual([1]);
});

test('A stream is opened anew after 8 to 10 s, and the former one ends when the new one has renewed every lease', () => {
  for (const [jitter, ageMs] of [
    [0, 10_000],
    [0.999, 8_002],
  ] as const) {
    const { clock, streams, say, kept } = rig({ jitter });
    const leases = kept(3);
    clock.advance(ageMs - 1);
    expect(streams).toHaveLength(1);
    clock.advance(1);
    expect(streams).toHaveLength(2);
    const [first, second] = streams;
    say(second, RENEWED, ['r0', 'r1']);
    clock.advance(1_000);
    expect(first?.isCancelled).toBe(false);
    say(first, RENEWED, ['r2']); // what it says is as true
    expect(leases[2]?.renewals).toBe(2);
    say(second, RENEWED, ['r2']);
    clock.advance(499);
    expect(first?.isCancelled).toBe(false); // the server may end it by itself
    clock.advance(1);
    expect([first?.isCancelled, second?.isCancelled]).toEqual([true, false]);
    expect(leases.flatMap(({ reopenedBy }) => reopenedBy)).toEqual([]); // nothing was wrong
  }
});

test('A batch that is opened anew takes in the leases of batches that are less than half full', () => {
  const { clock, streams, say, kept, sizes } = rig();
  kept(20);
  clock.advance(100);
  kept(25);
  clock.advance(100);
  kept(40);
  expect(sizes()).toEqual([20, 25, 40]);
  clock.advance(9_800); // the first is old
  expect(sizes()).toEqual([20, 25, 40, 45]);
  const [first, second, , merged] = streams;
  expect(second?.isCancelled).toBe(false);
  say(merged, RENEWED);
  clock.advance(500);
  expect([first?.isCancelled, second?.isCancelled]).toEqual([true, true]);
  expect(sizes()).toEqual([20, 25, 40, 45, 40]); // the second has no stream of its own any more
});

test('A lease that is lost or given back leaves the stream to the others, and is asked for no more', () => {
  const { clock, keeper, streams, say, kept } = rig();
  const leases = kept(3);
  const [lost, released] = leases;
  if (!lost || !released) throw new Error('three leases');
  lost.onLost = () => void keeper.leave(lost)?.finish();
  say(streams[0], LOST, ['r0']);
  keeper.leave(released)?.stop();
  expect(streams[0]?.isCancelled).toBe(false);
  say(streams[0], RENEWED, ['r0', 'r1']);
  expect([lost.renewals, released.renewals]).toEqual([1, 1]);
  clock.advance(10_000);
  expect(streams[1]?.request).toEqual(['r2']);
});

test('The stream of the last lease that was given back ends by the server, or after half a second', async () => {
  const { clock, keeper, streams, kept } = rig();
  const [lease] = kept(1);
  if (!lease) throw new Error('one lease');
  const finished = keeper.leave(lease)?.finish();
  await clock.pass(499);
  expect(streams[0]?.isCancelled).toBe(false);
  await clock.pass(1);
  await finished;
  expect([streams[0]?.isCancelled, clock.timers]).toEqual([true, 0]);
});

test('A lease that has moved on the newest stream is asked for again, and the others stay', () => {
  const { clock, streams, say, kept } = rig();
  const leases = kept(3);
  say(streams[0], MOVED, ['r1']);
  clock.advance(50);
  expect(streams.map(({ request }) => request)).toEqual([['r0', 'r1', 'r2'], ['r1']]);
  expect(leases.map(({ reopenedBy }) => reopenedBy.length)).toEqual([0, 1, 0]);
});

test('What a former stream says of a move or a drain changes nothing', () => {
  const { clock, streams, say, kept } = rig();
  kept(2);
  clock.advance(10_000);
  say(streams[0], MOVED);
  say(streams[0], DRAINING, ['']);
  clock.advance(1_000);
  expect(streams).toHaveLength(2);
});

test('A stream that nobody answers is followed by the next on another instance, which has twice the time', () => {
  const { clock, channel, keeper, streams, held } = rig();
  const [lease] = held(1);
  if (!lease) throw new Error('one lease');
  lease.leftMs = 60_000;
  const { seat: first } = channel;
  keeper.join(lease);
  clock.advance(50 + 3_000);
  expect(streams).toHaveLength(2);
  expect(channel.seat).not.toBe(first);
  expect(lease.reopenedBy).toEqual(['the server does not answer']);
  clock.advance(6_000 - 1);
  expect(streams).toHaveLength(2);
  clock.advance(1);
  expect(streams).toHaveLength(3);
});

test('A server that answers for some of the leases of a stream has as long again for the others', () => {
  const { clock, keeper, streams, say, held } = rig();
  for (const lease of held(3)) keeper.join(lease);
  clock.advance(50);
  for (const resource of ['r0', 'r1']) {
    clock.advance(2_999);
    say(streams[0], RENEWED, [resource]);
  }
  clock.advance(2_999);
  expect(streams).toHaveLength(1);
  clock.advance(1);
  expect(streams).toHaveLength(2);
});

test('The least time left of a batch bounds how long an answer may take', () => {
  const { clock, keeper, streams, held } = rig();
  const leases = held(3);
  for (const lease of leases) keeper.join(lease);
  for (const lease of leases.slice(0, 1)) lease.leftMs = 2_000;
  clock.advance(50 + 1_000);
  expect(streams).toHaveLength(2);
});

test('A stream is silent after half of the smallest TTL in its batch, and after 20 s at most', () => {
  const { clock, keeper, streams, say, held } = rig({ instances: 1 });
  const [short, long] = held(2);
  if (!short || !long) throw new Error('two leases');
  [short.ttlMs, long.ttlMs] = [6_000, 600_000];
  for (const lease of [short, long]) keeper.join(lease);
  clock.advance(50);
  say(streams[0], RENEWED);
  clock.advance(2_999);
  expect(streams[0]?.isCancelled).toBe(false);
  clock.advance(1);
  expect(streams[0]?.isCancelled).toBe(true);
  expect(short.reopenedBy).toEqual(['the server said nothing for 3000 ms']);
  clock.advance(50);
  say(streams[1], RENEWED);
  keeper.leave(short)?.stop();
  clock.advance(9_000);
  expect(streams[1]?.isCancelled).toBe(false);
});

test('A break is followed by one stream for all that lack one, on the next instance, and no lease is forgotten', () => {
  const { clock, channel, streams, kept, sizes } = rig();
  kept(64);
  clock.advance(100);
  kept(10);
  clock.advance(100);
  kept(10);
  const { seat } = channel;
  for (const stream of [...streams]) stream.fail(status.UNAVAILABLE);
  expect(channel.seat).not.toBe(seat);
  clock.advance(50);
  expect(sizes()).toEqual([64, 10, 10, 64, 20]);
});

test('An instance that stops is left at once, and its stream goes on until the next one has answered', () => {
  const { clock, channel, streams, say, kept } = rig();
  const leases = kept(2);
  const { seat } = channel;
  say(streams[0], DRAINING, ['']);
  clock.advance(50);
  expect(streams).toHaveLength(2);
  expect(channel.seat).not.toBe(seat);
  expect(streams[0]?.isCancelled).toBe(false);
  say(streams[1], RENEWED);
  clock.advance(500);
  expect(streams[0]?.isCancelled).toBe(true);
  expect(leases[0]?.reopenedBy).toEqual(['the instance stops']);
});

test('A lease at risk moves its batch to another instance after a part of the time left, unless it is renewed', () => {
  const moving = rig();
  moving.kept(2);
  moving.say(moving.streams[0], AWAY, ['r0']);
  moving.clock.advance(15_000 / 8 + 49);
  expect(moving.streams).toHaveLength(1);
  moving.clock.advance(1);
  expect(moving.streams).toHaveLength(2);
  const staying = rig();
  staying.kept(2);
  staying.say(staying.streams[0], AWAY, ['r0']);
  staying.say(staying.streams[0], RENEWED, ['r0']);
  staying.clock.advance(9_000);
  expect(staying.streams).toHaveLength(1);
});

test('A lease stays on the Hold that acquired it for 5 s, or until that breaks, and then joins the others', () => {
  const { clock, channel, keeper, streams, say, held, kept } = rig();
  kept(3);
  const adopt = (lease: Held): Stream => {
    const stream: Stream = new FakeStream([lease.resource], clock.monotonicMs());
    const call = new StreamCall<LeaseMessage>(
      {
        channel,
        kind: 'waiting',
        silenceMs: 20_000,
        onMessage: (from, message) => keeper.heard(from, message),
        onEnd: (from, error) => keeper.ended(from, error),
      },
      () => stream.call,
    );
    keeper.adopt(lease, call);
    return stream;
  };
  const [whole, broken] = held(2);
  if (!whole || !broken) throw new Error('two leases');
  const first = adopt(whole);
  clock.advance(1_000);
  adopt(broken).fail(status.UNAVAILABLE);
  clock.advance(50);
  expect(streams[1]?.request).toEqual([broken.resource]);
  say(streams[1], RENEWED);
  clock.advance(3_949);
  say(first, RENEWED);
  expect(streams).toHaveLength(2);
  clock.advance(51);
  expect(streams[2]?.request).toEqual([whole.resource]);
  expect(first.isCancelled).toBe(false);
  say(streams[2], RENEWED);
  clock.advance(500);
  expect(first.isCancelled).toBe(true);
});

test('Two holders of one lease in a client share it, and it is kept until the last has given it up', () => {
  const { clock, keeper, streams, say, held } = rig();
  const [one] = held(1);
  if (!one) throw new Error('one lease');
  const other = new Held(one.resource);
  for (const lease of [one, other]) keeper.join(lease);
  clock.advance(50);
  expect(streams.map(({ request }) => request)).toEqual([[one.resource]]);
  say(streams[0], RENEWED);
  expect([one.renewals, other.renewals]).toEqual([1, 1]);
  expect(keeper.leave(one)).toBeUndefined();
  clock.advance(10_000);
  expect(streams).toHaveLength(2);
  keeper.leave(other)?.stop();
  clock.advance(20_000);
  expect([streams.length, clock.timers]).toEqual([2, 0]);
});

test('What waits is opened anew when each batch has been answered, or after 1 to 2 s', async () => {
  const { clock, channel, streams, say, kept } = rig({ jitter: 0.5 });
  kept(2);
  let opened = 0;
  const waits = async (): Promise<void> => {
    await channel.afterHolders(30_000);
    opened++;
  };
  await waits();
  expect(opened).toBe(1); // no holder lacks a stream
  streams[0]?.fail(status.UNAVAILABLE);
  const waiting = waits();
  await clock.pass(100);
  expect(opened).toBe(1);
  say(streams[1], RENEWED);
  await waiting;
  expect(opened).toBe(2);
  streams[1]?.fail(status.UNAVAILABLE);
  void waits();
  await clock.pass(1_499);
  expect(opened).toBe(2);
  await clock.pass(1);
  expect(opened).toBe(3);
});

test('What waits goes on waiting while batches are being answered, for 10 s at most', async () => {
  const { clock, channel, streams, say, kept } = rig();
  for (let batch = 0; batch < 20; batch++) kept(64);
  const before = streams.length;
  for (const stream of [...streams]) stream.fail(status.UNAVAILABLE);
  let hasWaited = false;
  const waiting = channel.afterHolders(30_000).then(() => {
    hasWaited = true;
  });
  await clock.pass(100);
  expect(streams).toHaveLength(before + 20);
  for (let batch = 0; batch < 9; batch++) {
    say(
      streams.findLast(({ request }) => request[0] === `r${64 * batch}`),
      RENEWED,
    );
    await clock.pass(1_000);
    expect(hasWaited).toBe(false);
  }
  await clock.pass(1_000);
  await waiting;
  expect(hasWaited).toBe(true);
});

test('Nothing of a keeper is left when its channel is closed and its leases are over', () => {
  const { clock, channel, keeper, kept } = rig();
  const leases = kept(70);
  channel.close();
  clock.advance(20_000);
  for (const lease of leases) keeper.leave(lease)?.stop();
  expect(clock.timers).toBe(0);
});

test('Instances that accept a stream and say nothing are asked one after the other, however long that goes on', () => {
  const { clock, channel, keeper, streams, held } = rig();
  const [lease] = held(1);
  if (!lease) throw new Error('one lease');
  [lease.ttlMs, lease.leftMs] = [600_000, 600_000];
  const seats: unknown[] = [];
  keeper.join(lease);
  for (let second = 0; second < 90; second++) {
    clock.advance(1_000);
    if (streams.length > seats.length) seats.push(channel.seat);
  }
  expect(seats.length).toBeGreaterThan(5);
  for (const [index, seat] of seats.entries()) expect(seat).not.toBe(seats[index - 1]);
});

test('After breaks, a lease that is near its deadline has another stream in half of the time left', () => {
  const { clock, keeper, streams, held } = rig({ jitter: 0.999 });
  const [lease] = held(1);
  if (!lease) throw new Error('one lease');
  keeper.join(lease);
  clock.advance(50);
  for (let breaks = 0; breaks < 8; breaks++) {
    streams.at(-1)?.fail(status.UNAVAILABLE);
    clock.advance(2_000);
  }
  const before = streams.length;
  lease.leftMs = 1_000;
  streams.at(-1)?.fail(status.UNAVAILABLE);
  clock.advance(500);
  expect(streams).toHaveLength(before + 1);
});

test('Streams that renew nothing for minutes do not pile up', () => {
  const { clock, keeper, streams, say, held } = rig({ instances: 1 });
  const leases = held(2);
  for (const lease of leases) {
    [lease.ttlMs, lease.leftMs] = [3_600_000, 3_600_000];
    keeper.join(lease);
  }
  for (let second = 0; second < 600; second++) {
    for (const stream of streams) if (!stream.isCancelled) say(stream, AWAY);
    clock.advance(1_000);
  }
  const open = streams.filter(({ isCancelled }) => !isCancelled);
  expect(streams.length).toBeGreaterThan(50);
  expect(open.length).toBeLessThanOrEqual(4);
});

test('A lease that no instance can renew is not asked for more and more often toward its deadline', () => {
  const { clock, keeper, streams, say, held } = rig();
  const [lease] = held(1);
  if (!lease) throw new Error('one lease');
  const startMs = clock.monotonicMs();
  Object.defineProperty(lease, 'leftMs', { get: () => Math.max(0, startMs + 15_000 - clock.monotonicMs()) });
  keeper.join(lease);
  for (let ms = 0; ms < 15_000; ms += 5) {
    for (const stream of streams) if (!stream.isCancelled) say(stream, AWAY);
    clock.advance(5);
  }
  const gaps = streams
    .slice(1)
    .map(({ openedAtMs }, index) => openedAtMs - (streams[index]?.openedAtMs ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(250);
  expect(streams.length).toBeGreaterThan(10);
});

test('A lease that is taken again by the same id hears nothing that a stream says of the one before', () => {
  const { clock, keeper, streams, say, kept } = rig();
  const [lease] = kept(2);
  if (!lease) throw new Error('two leases');
  keeper.leave(lease);
  const again = new Held(lease.resource);
  let lost = 0;
  again.onLost = () => lost++;
  keeper.join(again);
  say(streams[0], LOST, [lease.resource]);
  expect(lost).toBe(0);
  clock.advance(50);
  say(streams[1], RENEWED, [lease.resource]);
  say(streams[1], LOST, [lease.resource]);
  expect([again.renewals, lost]).toEqual([1, 1]);
});
