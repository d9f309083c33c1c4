// What `leasehold capacity` counts as renewals, beside what the server's renewal wheel does under a clock that the test
// moves.
import { expect, test } from 'vitest';
import { renewalIntervalMs } from '../../src/capacity/load.ts';
import type { Lease } from '../../src/domain/lock.ts';
import type { LeaseLoss } from '../../src/domain/losses.ts';
import { RenewalWheel } from '../../src/service/renewal-wheel.ts';
import { type KeptLease, leaseRenewals } from '../../src/service/renewals.ts';
import type { LockStore, RenewCommand } from '../../src/store/lock-store.ts';
import { ManualClock } from '../support/manual-clock.ts';

const LEASES = 200;
const INTERVALS = 20;
const NOTHING = { renewed: () => {}, looked: () => {}, atRisk: () => {}, ended: () => {} };

test.for([2_000, 20_000, 30_000, 600_000])(
  'The server renews leases of %i ms as often as the plan says, within 5 %%',
  async (ttlMs) => {
    const clock = new ManualClock();
    let renewals = 0;
    const store: Pick<LockStore, 'renew' | 'onNotice'> = {
      async renew(commands: readonly RenewCommand[]) {
        renewals += commands.length;
        const [deadlineMs, expiresAtWallMs] = [clock.monotonicMs() + ttlMs, 0];
        return commands.map(({ resource, leaseId, fencingToken }) => {
          const lease = { resource, leaseId, fencingToken, deadlineMs, expiresAtWallMs };
          return { kind: 'renewed' as const, lease, isFinal: false };
        });
      },
      onNotice: () => () => {},
    };
    let drawn = 0;
    const wheel = new RenewalWheel<KeptLease, Lease, LeaseLoss>({
      renewals: leaseRenewals(store as LockStore), // they call nothing else
      clock,
      random: () => (drawn++ * 0.618) % 1,
      commandTimeoutMs: 1_000,
      onDefect: (thrown) => expect.unreachable(String(thrown)),
    });
    for (let index = 0; index < LEASES; index++) {
      const lease = {
        resource: `r-${index}`,
        leaseId: `l-${index}`,
        fencingToken: 1n,
        stamp: { instanceId: 'i', callNumber: index },
        ttlMs,
        deadlineMs: clock.monotonicMs() + ttlMs,
        minAcks: 0,
        takesOver: false,
        renewUntilMs: Number.POSITIVE_INFINITY,
        group: index % 10,
      };
      wheel.keep(lease, NOTHING);
    }
    // Half an interval longer, so that nearly all leases have had theirs, and none the next.
    await clock.pass((INTERVALS + 0.5) * renewalIntervalMs(ttlMs));
    wheel.close();
    expect(renewals / (LEASES * INTERVALS)).toBeGreaterThan(0.95);
    expect(renewals / (LEASES * INTERVALS)).toBeLessThan(1.05);
  },
);
