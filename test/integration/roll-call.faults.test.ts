// The scripts of the roll call, rule by rule: what each of them stops, played step by step by instances that exist only
// here, on copies of the data that are as old as the fault makes them. What the instances themselves see to is in
// test/unit/roll-call.joining.test.ts, and whole deployments are in roll-call.rules.test.ts.
import { randomUUID } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RedisStore, type RedisStoreOptions } from '../../src/store/redis/redis-store.ts';
import { eventually } from '../support/eventually.ts';
import { redisOfFile } from '../support/redis/redis-of-file.ts';
import { grantedBy, ScriptedReign } from '../support/scripted-reigns.ts';
import { inTime, leaseSpec, type StoreHarness, storeOptions } from '../support/store-harness.ts';
import { EXCLUSIVE_LOCK, operationCalls } from '../support/store-operations.ts';

const { process, client } = redisOfFile();

const begin = (...instances: readonly string[]) => ScriptedReign.begin(client(), ...instances);

/** After an early end of the reign that follows this one. */
async function afterEarlyEnd(before: ScriptedReign, ...instances: readonly string[]): Promise<ScriptedReign> {
  const next = await before.promoted();
  let leftMs = 1;
  for (const instance of instances) ({ leftMs } = await next.answer(instance));
  expect(leftMs).toBe(0);
  return next;
}

describe('a quarantine', () => {
  test('a quarantine does not end early before the last instance of the registry has answered', async () => {
    const next = await (await begin('x', 'y', 'z')).promoted();
    expect((await next.answer('x')).leftMs).toBeGreaterThan(30_000);
    expect(await next.answer('y')).toMatchObject({ owing: 1 });
    expect((await next.answer('z')).leftMs).toBe(0);
  });

  test('a quarantine does not end early unless one answer is fresh', async () => {
    const next = await (await begin('x', 'y')).promoted();
    await next.answer('x', { fresh: false });
    expect(await next.answer('y', { fresh: false })).toMatchObject({ owing: 0, leftMs: expect.any(Number) });
    expect((await next.answer('y', { fresh: false })).leftMs).toBeGreaterThan(30_000);
  });

  test('a second failover ends no quarantine before the end of the one that it found', async () => {
    const second = await (await begin('x')).promoted();
    await second.passTicked(3_000, 'x');
    const third = await second.promoted();
    expect((await third.answer('x')).leftMs).toBeGreaterThan(25_000);
  });

  test('a quarantine lasts its whole time where newcomers told at once just before', async () => {
    const next = await (await ScriptedReign.beginYoung(client(), 'x')).promoted();
    expect((await next.answer('x')).leftMs).toBeGreaterThan(30_000);
  });

  test('an instance that told its last before it died is waited for in a quarantine', async () => {
    const next = await (await begin('x', 'dead')).promoted();
    await next.passTicked(6_000, 'x', 3_000);
    expect(await next.answer('x')).toMatchObject({ owing: 1 });
  });

  test('an instance that ticks no more stays in the registry until all that it told is over', async () => {
    const reign = await begin('x', 'silent');
    await reign.passTicked(6_000, 'x');
    expect(await reign.instances()).toEqual(['silent', 'x']);
    await reign.passTicked(50_000, 'x');
    expect(await reign.instances()).toEqual(['x']);
  });

  test('an instance that owes an answer does not leave the registry', async () => {
    const next = await (await begin('x', 'y')).promoted();
    expect(await next.run('leave-registry', 'y')).toMatchObject(['left', expect.any(String)]);
    expect(await next.answer('x')).toMatchObject({ owing: 1 });
  });

  test('an instance that is not in the registry is told nothing', async () => {
    const reign = await begin('x');
    const { token } = grantedBy(await reign.acquire('x', 'r', 'a'));
    expect(await reign.renew('stranger', 'r', 'a', token)).toEqual(['unregistered', 0]);
  });

  test('an instance that is alone is a newcomer all the same while the quarantine could last', async () => {
    // Data of long ago, when nobody was registered. Others are registered where it ruled since.
    const next = await (await begin()).promoted();
    expect((await next.register('x'))[2]).toBe('0');
    await next.passTicked(40_000, 'x');
    await next.run('leave-registry', 'x');
    expect((await next.register('y'))[2]).toBe('1');
  });
});

describe('what is put back', () => {
  test('a lease that the data lack is put back, and is renewed', async () => {
    const before = await begin('x');
    const replica = await before.copy();
    const { token, text } = grantedBy(await before.acquire('x', 'r', 'a'));
    await replica.adopt();
    const told = { resource: 'r', leaseId: 'a', text, leftMs: 15_000 };
    expect(await replica.answer('x', { leases: [told] })).toMatchObject({ putBack: 1, leftMs: 0 });
    expect((await replica.renew('x', 'r', 'a', token))[0]).toBe('renewed');
  });

  test('a lease is unknown, and not lost, while the instance that told it may put it back', async () => {
    const before = await begin('x', 'y');
    const replica = await before.copy();
    const { token, text } = grantedBy(await before.acquire('x', 'r', 'a'));
    await replica.adopt();
    expect(await replica.answer('y')).toMatchObject({ owing: 1 });
    for (const how of ['keep', 'look'] as const) {
      expect((await replica.renew('y', 'r', 'a', token, { how }))[0]).toBe('unknown');
    }
    await replica.answer('x', { leases: [{ resource: 'r', leaseId: 'a', text, leftMs: 15_000 }] });
    expect((await replica.renew('y', 'r', 'a', token))[0]).toBe('renewed');
    expect((await replica.renew('y', 'r', 'never-told', token))[0]).toBe('lost');
  });

  test('a record that ends too soon says nothing of a lease whose last renewal it may lack', async () => {
    const before = await begin('x', 'y');
    const { token, text } = grantedBy(await before.acquire('x', 'r', 'a', { ttlMs: 2_000 }));
    const next = await before.promoted();
    await next.answer('y');
    expect((await next.renew('y', 'r', 'a', token))[0]).toBe('unknown');
    await next.answer('x', { leases: [{ resource: 'r', leaseId: 'a', text, leftMs: 9_000 }] });
    expect((await next.renew('y', 'r', 'a', token))[0]).toBe('renewed');
  });

  test('a lease whose last renewal the data lack lasts as long as its holder was told', async () => {
    const before = await begin('x');
    const { token, text } = grantedBy(await before.acquire('x', 'r', 'a', { ttlMs: 9_000 }));
    const next = await before.promoted();
    await next.answer('x', { leases: [{ resource: 'r', leaseId: 'a', text, leftMs: 25_000 }] });
    expect((await next.renew('x', 'r', 'a', token, { how: 'look' }))[1]).toBeGreaterThanOrEqual(25_000);
  });

  test('a min_hold that the data lack goes on, although its lease is over', async () => {
    const before = await begin('x');
    const replica = await before.copy();
    const { text } = grantedBy(await before.acquire('x', 'r', 'a', { minHoldMs: 25_000 }));
    await replica.adopt();
    const tail = { resource: 'r', leaseId: 'a', text, leftMs: 0, holdLeftMs: 20_000 };
    expect((await replica.answer('x', { leases: [tail] })).leftMs).toBe(0);
    expect((await replica.acquire('x', 'r', 'b', { call: 4 }))[0]).toBe('min-hold');
  });

  test('a lease is put back with the end of its max_hold, and no renewal passes that', async () => {
    const before = await begin('x');
    const replica = await before.copy();
    const { token, text } = grantedBy(await before.acquire('x', 'r', 'a'));
    await replica.adopt();
    const told = { resource: 'r', leaseId: 'a', text, leftMs: 9_000, ceilingLeftMs: 10_000 };
    await replica.answer('x', { leases: [told] });
    const [word, leftMs] = await replica.renew('x', 'r', 'a', token, { ttlMs: 30_000 });
    expect(word).toBe('final');
    expect(leftMs).toBeLessThanOrEqual(10_000);
  });

  test('an offer that its holder was told of is a lease after the failover', async () => {
    const before = await begin('x', 'y');
    grantedBy(await before.acquire('x', 'r', 'a'));
    await before.acquire('y', 'r', 'b', { mayWait: true, call: 3 });
    await before.run('release-lock', 'x', 'r', 'a');
    const replica = await before.copy();
    const confirmed = await before.run('confirm-offer', 'y', 'r', 'b', 'y/3', 20_000_000, 0, 0);
    const { token, text } = grantedBy(confirmed);
    await replica.adopt();
    await replica.answer('x');
    await replica.answer('y', { leases: [{ resource: 'r', leaseId: 'b', text, leftMs: 19_000 }] });
    expect((await replica.renew('y', 'r', 'b', token))[0]).toBe('renewed');
  });

  test('a lease that was taken away by force stays so, although its instance puts it back', async () => {
    const before = await begin('x');
    const { token, text } = grantedBy(await before.acquire('x', 'r', 'a'));
    await before.run('force-release', 'x', 'r', '', '0');
    const next = await before.promoted();
    await next.answer('x', { leases: [{ resource: 'r', leaseId: 'a', text, leftMs: 15_000 }] });
    expect((await next.renew('x', 'r', 'a', token))[0]).toBe('revoked');
  });

  test('a release that is repeated takes no newer lease of its id away', async () => {
    const before = await begin('x');
    const former = grantedBy(await before.acquire('x', 'r', 'a'));
    await before.run('release-lock', 'x', 'r', 'a');
    const { token } = grantedBy(await before.acquire('x', 'r', 'a'));
    const next = await before.promoted();
    const released = [{ resource: 'r', leaseId: 'a', token: former.token }];
    expect(await next.answer('x', { released })).toMatchObject({ freed: 0, leftMs: 0 });
    expect((await next.renew('x', 'r', 'a', token))[0]).toBe('renewed');
  });

  test('a release that is repeated takes its lease away in each state, also where this reign has renewed it', async () => {
    for (const state of ['held', 'revoked', 'renewed']) {
      const before = await begin('x', 'y');
      const { token } = grantedBy(await before.acquire('x', 'r', 'a'));
      if (state === 'revoked') await before.run('force-release', 'x', 'r', '', '0');
      const next = await before.promoted();
      if (state === 'renewed') expect((await next.renew('x', 'r', 'a', token))[0]).toBe('renewed');
      await next.answer('x');
      const released = [{ resource: 'r', leaseId: 'a', token }];
      expect(await next.answer('y', { released }), state).toMatchObject({ freed: 1, leftMs: 0 });
      grantedBy(await next.acquire('x', 'r', 'b', { call: 4 }));
    }
  });

  test('a lease that was released through another instance is not put back, whichever of them answers first', async () => {
    for (const order of ['xy', 'yx']) {
      const before = await begin('x', 'y');
      const replica = await before.copy();
      const { token, text } = grantedBy(await before.acquire('x', 'r', 'a'));
      await before.run('release-lock', 'y', 'r', 'a');
      await replica.adopt();
      const leases = [{ resource: 'r', leaseId: 'a', text, leftMs: 15_000 }];
      const released = [{ resource: 'r', leaseId: 'a', token }];
      for (const instance of order) {
        await replica.answer(instance, instance === 'x' ? { leases } : { released });
      }
      grantedBy(await replica.acquire('x', 'r', 'b', { call: 4 }));
    }
  });

  test('what was released is forgotten at the end of the quarantine, even if an instance never answers', async () => {
    const before = await begin('x', 'dead');
    const { token } = grantedBy(await before.acquire('x', 'r', 'a'));
    const next = await before.promoted();
    await next.answer('x', { released: [{ resource: 'r', leaseId: 'a', token }] });
    await next.passTicked(30_000, 'x');
    expect(await next.releases()).toBe(1);
    await next.passTicked(10_000, 'x');
    expect(await next.releases()).toBe(0);
  });

  test('a release that is repeated after the quarantine hands the lock over at once', async () => {
    const before = await begin('x', 'late');
    const { token } = grantedBy(await before.acquire('x', 'r', 'a', { ttlMs: 30_000 }));
    await before.acquire('x', 'r', 'b', { mayWait: true, call: 3 });
    const next = await before.promoted();
    await next.answer('x');
    expect((await next.renew('x', 'r', 'a', token))[0]).toBe('renewed');
    await next.passTicked(20_000, 'x');
    expect((await next.renew('x', 'r', 'a', token))[0]).toBe('renewed');
    await next.passTicked(15_000, 'x');
    await next.acquire('x', 'r', 'b', { mayWait: true, call: 3 });
    const { freed } = await next.answer('late', { released: [{ resource: 'r', leaseId: 'a', token }] });
    expect(freed).toBe(1);
    grantedBy(await next.run('confirm-offer', 'x', 'r', 'b', 'x/3', 20_000_000, 0, 0));
  });

  test('where leases are put back that do not go together, nobody else is admitted', async () => {
    const before = await begin('x');
    const replica = await before.copy();
    const { text } = grantedBy(await before.acquire('x', 'r', 'a', { mode: 'shared' }));
    // The replica that ruled in between granted the resource to another, and told nobody.
    await replica.adopt();
    await replica.answer('x');
    grantedBy(await replica.acquire('x', 'r', 'b', { call: 4 }));
    const next = await replica.promoted();
    await next.answer('x', { leases: [{ resource: 'r', leaseId: 'a', text, leftMs: 19_000 }] });
    expect((await next.acquire('x', 'r', 'c', { mode: 'shared', call: 6 }))[0]).toBe('held');
  });

  test('permits that are put back count for the limit', async () => {
    const before = await begin('x');
    const replica = await before.copy();
    const { text } = grantedBy(await before.acquire('x', 'r', 'a', { mode: 'permits:3/3' }));
    await replica.adopt();
    await replica.answer('x', { leases: [{ resource: 'r', leaseId: 'a', text, leftMs: 19_000 }] });
    expect((await replica.acquire('x', 'r', 'b', { mode: 'permits:1/3', call: 4 }))[0]).toBe('held');
  });

  test('a token after a roll call is larger than all that any instance has seen', async () => {
    const next = await (await begin('x')).promoted();
    const seenToken = 2_000_000_000_000_000;
    await next.answer('x', { seenToken });
    const { token } = grantedBy(await next.acquire('x', 'r', 'a'));
    expect(Number(token)).toBeGreaterThan(seenToken);
  });
});

describe('after an early end', () => {
  test('an inherited lease that nothing renews any more blocks until its deadline', async () => {
    const before = await begin('x');
    // The shorter one ends first, and the script looks at each that is left.
    grantedBy(await before.acquire('x', 'r', 'short', { mode: 'shared', ttlMs: 1_000, call: 4 }));
    const { token } = grantedBy(await before.acquire('x', 'r', 'a', { mode: 'shared', ttlMs: 3_000 }));
    const next = await afterEarlyEnd(before, 'x');
    await next.passTicked(3_500, 'x');
    expect((await next.renew('x', 'r', 'a', token))[0]).toBe('lost');
    expect((await next.acquire('x', 'r', 'b', { call: 6 }))[0]).toBe('held');
  });

  test('an inherited grant is not repeated before the full end of the quarantine', async () => {
    const before = await begin('x');
    grantedBy(await before.acquire('x', 'r', 'a'));
    const next = await afterEarlyEnd(before, 'x');
    expect((await next.acquire('x', 'r', 'a'))[0]).toBe('quarantined');
  });

  test('a lease of this reign is renewed although it ends soon', async () => {
    const next = await afterEarlyEnd(await begin('x'), 'x');
    const { token } = grantedBy(await next.acquire('x', 'r', 'a', { ttlMs: 2_000 }));
    expect((await next.renew('x', 'r', 'a', token))[0]).toBe('renewed');
  });

  test('a shared lease_id gets no second grant beside its inherited record', async () => {
    const before = await begin('x');
    grantedBy(await before.acquire('x', 'r', 'a', { mode: 'shared' }));
    const next = await afterEarlyEnd(before, 'x');
    expect((await next.acquire('x', 'r', 'a', { mode: 'shared' }))[0]).toBe('quarantined');
    expect((await next.acquire('x', 'r', 'b', { mode: 'shared', call: 4 }))[0]).toBe('granted');
  });
});

describe('what a store tells', () => {
  async function alone(given: Partial<RedisStoreOptions> = {}): Promise<RedisStore> {
    const store = new RedisStore(storeOptions(process().listens, { rollCall: true, ...given }));
    onTestFinished(() => store.close());
    await eventually(() => store.status().usable, { what: 'a usable store', withinMs: 15_000, everyMs: 5 });
    return store;
  }

  const toldBy = (store: RedisStore): number => store.status().rollCall.toldLeases;

  const STAMP = { instanceId: 'i1', callNumber: 1 };

  test('a grant is remembered, and a renewal by another instance too', async () => {
    const keyPrefix = `t-${randomUUID()}:`;
    const [first, second] = [await alone({ keyPrefix }), await alone({ keyPrefix, instanceId: 'i2' })];
    const spec = leaseSpec();
    const granted = await first.locks.acquire({ spec, stamp: STAMP, mayWait: false }, inTime());
    if (granted.kind !== 'granted') throw new Error(granted.kind);
    expect([toldBy(first), toldBy(second)]).toEqual([1, 0]);
    const { resource, leaseId, fencingToken } = granted.lease;
    await second.locks.renew([{ resource, leaseId, fencingToken, ttlMs: 0 }], inTime());
    expect([toldBy(first), toldBy(second)]).toEqual([1, 1]);
  });

  test('a confirmed offer is remembered as a lease', async () => {
    const store = await alone();
    const spec = leaseSpec({ leaseId: 'a' });
    await store.locks.acquire({ spec, stamp: STAMP, mayWait: false }, inTime());
    const next = { spec: leaseSpec({ leaseId: 'b' }), stamp: { ...STAMP, callNumber: 3 } };
    expect(await store.locks.acquire({ ...next, mayWait: true }, inTime())).toMatchObject({ kind: 'queued' });
    await store.locks.release(spec, inTime());
    expect(toldBy(store)).toBe(0);
    expect(await store.locks.confirm(next, inTime())).toMatchObject({ kind: 'granted' });
    expect(toldBy(store)).toBe(1);
  });

  test('the lease of an attempt is remembered', async () => {
    const store = await alone();
    // Of a harness, only the operations are asked for.
    const { begin } = operationCalls(() => store as unknown as StoreHarness);
    expect(await begin({ lock: EXCLUSIVE_LOCK }, { claimId: 'c' })).toMatchObject({ kind: 'begun' });
    expect(toldBy(store)).toBe(1);
  });
});

describe('the lease clock', () => {
  test('a system clock that steps to the edge and back twice advances the lease clock once', async () => {
    const reign = await begin('x');
    await reign.tick('x');
    const before = await reign.clockMs();
    for (const ms of [1_500, -1_500, 1_500, -1_500, 1_500]) {
      reign.pass(ms);
      await reign.tick('x');
    }
    expect((await reign.clockMs()) - before).toBeLessThanOrEqual(1_500);
  });

  test('a step of all system clocks during a failover advances the lease clock by the allowance only', async () => {
    const before = await begin('x');
    await before.tick('x');
    const clockMs = await before.clockMs();
    before.pass(100_000);
    const next = await before.promoted();
    expect((await next.clockMs()) - clockMs).toBeLessThanOrEqual(2_000);
  });
});

test('a lease of an isolated primary that is chosen again is not renewed beside a later one', async () => {
  const isolated = await ScriptedReign.begin(client(), 'x', 'y');
  const { token } = grantedBy(await isolated.acquire('x', 'r', 'l1', { ttlMs: 30_000 }));
  const ruling = await isolated.promoted();
  for (let second = 1; second <= 36; second++) {
    await isolated.passTicked(1_000, 'x');
    await ruling.tick('y');
    // Nobody is told of this one.
    if (second === 20) expect((await isolated.renew('x', 'r', 'l1', token))[0]).toBe('renewed');
  }
  const later = grantedBy(await ruling.acquire('y', 'r', 'l2', { ttlMs: 30_000 }));
  const again = await isolated.promoted();
  const leases = [{ resource: 'r', leaseId: 'l2', text: later.text, leftMs: 30_000 }];
  await again.answer('y', { leases });
  await again.answer('x');
  expect((await again.renew('y', 'r', 'l2', later.token))[0]).toBe('renewed');
  expect((await again.renew('x', 'r', 'l1', token))[0]).not.toBe('renewed');
});
