// From when on a lease is held, as metrics count it.
import { expect, test } from 'vitest';
import { grantedAtMs, type Lease } from '../../src/domain/lock.ts';

const NOW_MS = 50_000;

function lease(grantedWallMs: number, nowWallMs: number): Lease {
  const fencingToken = BigInt(grantedWallMs) * 1_000n;
  const expires = { deadlineMs: NOW_MS + 9_000, expiresAtWallMs: nowWallMs + 9_000 };
  return { resource: 'r', leaseId: 'l', fencingToken, ...expires };
}

test('A token tells when its lease was granted', () => {
  expect(grantedAtMs(lease(1_700_000_000_000, 1_700_000_007_000), NOW_MS)).toBe(NOW_MS - 7_000);
});

test('A token that runs ahead of a clock that has stepped back makes no negative time', () => {
  expect(grantedAtMs(lease(1_700_000_000_000, 1_699_999_000_000), NOW_MS)).toBe(NOW_MS);
});
