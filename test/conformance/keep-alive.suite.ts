// What both stores do for streams that keep leases: a newer call takes a lease over and the older one is told; a
// released lease's stream is told; a renewal says when max_hold is reached.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CallStamp, LeaseSpec } from '../../src/domain/lock.ts';
import type { Notice, RenewCommand } from '../../src/store/lock-store.ts';
import { eventually } from '../support/eventually.ts';
import { INSTANCE_ID, inTime, leaseSpec, type StoreHarness } from '../support/store-harness.ts';

export function keepAliveSuite(name: string, open: () => Promise<StoreHarness>): void {
  describe(`leases kept by streams: ${name}`, () => {
    const first: CallStamp = { instanceId: INSTANCE_ID, callNumber: 1 };
    const second: CallStamp = { instanceId: 'i2', callNumber: 1 };
    let h: StoreHarness;
    let notices: Notice[];

    beforeEach(async () => {
      h = await open();
      notices = [];
      h.locks.onNotice((notice) => notices.push(notice));
    });
    afterEach(async () => {
      await h.close();
    });

    async function held(overrides: Partial<LeaseSpec> = {}, stamp = first): Promise<RenewCommand> {
      const spec = leaseSpec(overrides);
      const outcome = await h.locks.acquire({ spec, stamp, mayWait: false }, inTime());
      if (outcome.kind !== 'granted') throw new Error(`not granted: ${outcome.kind}`);
      const { resource, leaseId } = spec;
      return { resource, leaseId, fencingToken: outcome.lease.fencingToken, ttlMs: 0, stamp };
    }

    const renew = async (command: RenewCommand) => (await h.locks.renew([command], inTime()))[0];

    async function told(kind: Notice['kind'], { resource, leaseId }: RenewCommand, callNumber: number) {
      await eventually(
        () => expect(notices).toContainEqual({ kind, acquisition: { resource, leaseId }, callNumber }),
        {
          what: `the notice ${kind}`,
          withinMs: 5_000,
          everyMs: 2,
        },
      );
    }

    test('a newer call takes a lease over under the same token, and the older call no longer renews it', async () => {
      const lease = await held();
      expect(await renew({ ...lease, stamp: second, takesOver: true })).toMatchObject({
        kind: 'renewed',
        lease: { fencingToken: lease.fencingToken, leaseId: lease.leaseId },
      });
      expect(await renew(lease)).toEqual({ kind: 'moved' });
      expect(await renew({ ...lease, stamp: second })).toMatchObject({ kind: 'renewed' });
    });

    test('the older call is told once that a newer one has its lease, and a repeat by the newer call tells nobody', async () => {
      const lease = await held();
      await renew({ ...lease, takesOver: true });
      await renew({ ...lease, stamp: second, takesOver: true });
      await told('moved', lease, first.callNumber);
      // A notice that every store sends after the others.
      const last = await held({ resource: 'last' });
      await h.locks.release(last, inTime());
      await told('released', last, first.callNumber);
      expect(notices.filter(({ kind }) => kind === 'moved')).toHaveLength(1);
    });

    test('a take-over extends the lease', async () => {
      const lease = await held({ ttlMs: 20_000 });
      await h.pass(15_000);
      await renew({ ...lease, stamp: second, takesOver: true });
      await h.pass(15_000);
      expect((await h.locks.get(lease.resource, inTime())).holders).toHaveLength(1);
    });

    test('a take-over needs the token and a live lease', async () => {
      const lease = await held();
      const takeOver = { ...lease, stamp: second, takesOver: true };
      expect(await renew({ ...takeOver, fencingToken: lease.fencingToken + 1n })).toEqual({ kind: 'lost' });
      expect(await renew(lease)).toMatchObject({ kind: 'renewed' });
      await h.pass(25_000);
      expect(await renew(takeOver)).toEqual({ kind: 'lost' });
      expect(notices.filter(({ kind }) => kind !== 'resync')).toEqual([]);
    });

    test('a take-over works in a quarantine', async () => {
      const lease = await held({ ttlMs: 30_000 });
      await h.beginReign();
      expect(await renew({ ...lease, stamp: second, takesOver: true })).toMatchObject({ kind: 'renewed' });
      expect(await renew(lease)).toEqual({ kind: 'moved' });
    });

    test('each of several leases that are renewed together has its own outcome', async () => {
      const [a, b] = [await held({ resource: 'a' }), await held({ resource: 'b' })];
      const takeOver = { stamp: second, takesOver: true };
      const outcomes = await h.locks.renew(
        [{ ...a, ...takeOver }, { ...b, ...takeOver, fencingToken: 7n }, b],
        inTime(),
      );
      expect(outcomes.map(({ kind }) => kind)).toEqual(['renewed', 'lost', 'renewed']);
    });

    test('a stream is told that its lease was released; for a unary call nobody is told', async () => {
      const unary = await held({ resource: 'unary' }, { instanceId: INSTANCE_ID, callNumber: 2 });
      await h.locks.release(unary, inTime());
      const streamed = await held({ resource: 'streamed' });
      await h.locks.release(streamed, inTime());
      await told('released', streamed, first.callNumber);
      expect(notices.filter(({ kind }) => kind === 'released')).toHaveLength(1);
    });

    test('a release after the deadline that a holder was told says that the lease was over, if a stream kept it', async () => {
      const leases = [
        await held({ resource: 'in time', ttlMs: 10_000 }),
        await held({ resource: 'unary', ttlMs: 9_000 }, { instanceId: INSTANCE_ID, callNumber: 2 }),
        await held({ resource: 'streamed', ttlMs: 9_000 }),
      ];
      await h.pass(9_000);
      const found = await Promise.all(leases.map((lease) => h.locks.release(lease, inTime())));
      expect(found).toEqual(
        [false, false, true].map((wasOver) => ({ kind: 'released', heldMs: 9_000, wasOver })),
      );
    });

    test('a look tells how a lease stands, and neither extends it nor takes it over', async () => {
      const lease = await held({ ttlMs: 20_000 });
      const look = { ...lease, onlyLooks: true };
      await h.pass(15_000);
      expect(await renew(look)).toMatchObject({ kind: 'renewed', lease: { leaseId: lease.leaseId } });
      expect(await renew({ ...look, stamp: second, takesOver: true })).toEqual({ kind: 'moved' });
      expect(await renew({ ...look, fencingToken: lease.fencingToken + 1n })).toEqual({ kind: 'lost' });
      await h.pass(10_000);
      expect(await renew(look)).toEqual({ kind: 'lost' });
      expect((await h.locks.get(lease.resource, inTime())).holders).toEqual([]);
      expect(notices.filter(({ kind }) => kind === 'moved')).toEqual([]);
    });

    test('a renewal says when max_hold bounds the deadline', async () => {
      const lease = await held({ ttlMs: 10_000, maxHoldMs: 15_000 });
      expect(await renew(lease)).toMatchObject({ kind: 'renewed', isFinal: false });
      await h.pass(8_000);
      expect(await renew(lease)).toMatchObject({ kind: 'renewed', isFinal: true });
    });
  });
}
