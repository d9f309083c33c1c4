// Which fencing token CheckFencingToken calls valid where a primary was chosen again, and another ruled in between: the
// scripts, played step by step on copies of the data.
import { describe, expect, test } from 'vitest';
import { redisOfFile } from '../support/redis/redis-of-file.ts';
import { grantedBy, ScriptedReign } from '../support/scripted-reigns.ts';

const { client } = redisOfFile();

/**
 * A grants the lock to one that is told until its TTL is over, and B rules before A records a renewal that nobody is
 * told of. On B the lease lapses, and the lock is granted to another.
 */
async function ruledBetween() {
  const a = await ScriptedReign.begin(client(), 'x');
  const former = grantedBy(await a.acquire('x', 'r', 'former', { ttlMs: 10_000 }));
  const b = await a.promoted();
  await a.renew('x', 'r', 'former', former.token, { ttlMs: 30_000 });
  const beforeMs = await b.clockMs();
  await b.answer('x');
  await b.passTicked(13_000, 'x');
  expect(await b.clockMs()).toBeGreaterThan(beforeMs + 12_000);
  const next = grantedBy(await b.acquire('x', 'r', 'next', { ttlMs: 30_000 }));
  return { a, former, next };
}

const check = async (reign: ScriptedReign, token: string): Promise<string | undefined> =>
  (await reign.run('check-fencing-token', 'x', 'r', token))[0];

describe('a fencing token', () => {
  test('the token of a lease that was over is not valid beside the later one that a roll call put back', async () => {
    const { a, former, next } = await ruledBetween();
    const again = await (await a.copy()).promoted();
    expect(await check(again, former.token)).toBe('quarantined');
    await again.answer('x', {
      leases: [{ resource: 'r', leaseId: 'next', text: next.text, leftMs: 29_000 }],
    });
    expect(await check(again, former.token)).toBe('invalid');
    expect(await check(again, next.token)).toBe('valid');
  });

  test('a token is valid in a quarantine where no other primary can have ruled before it', async () => {
    const a = await ScriptedReign.begin(client(), 'x', 'y');
    const { token } = grantedBy(await a.acquire('x', 'r', 'kept'));
    const second = await a.promoted();
    expect(await check(second, token)).toBe('valid');
    // Nor before the next one, although the quarantine of the second isn't over.
    expect(await check(await second.promoted(), token)).toBe('valid');
  });

  test('a token is not known to be valid behind a quarantine that had not heard of all', async () => {
    const { a, former } = await ruledBetween();
    const again = await (await a.copy()).promoted();
    expect(await check(await again.promoted(), former.token)).toBe('quarantined');
  });

  test('of shared leases each token stays valid', async () => {
    const a = await ScriptedReign.begin(client(), 'x');
    const first = grantedBy(await a.acquire('x', 'r', 'one', { mode: 'shared' }));
    const second = grantedBy(await a.acquire('x', 'r', 'two', { mode: 'shared' }));
    expect([await check(a, first.token), await check(a, second.token)]).toEqual(['valid', 'valid']);
  });
});

test('a lease id that was used again keeps its later lease when the former one is put back', async () => {
  const a = await ScriptedReign.begin(client(), 'x', 'y');
  const former = grantedBy(await a.acquire('x', 'r', 'same'));
  await a.run('release-lock', 'y', 'r', 'same');
  const later = grantedBy(await a.acquire('y', 'r', 'same'));
  const b = await a.promoted();
  // Y puts its lease back first; X has not heard of the release.
  await b.answer('y', { leases: [{ resource: 'r', leaseId: 'same', text: later.text, leftMs: 15_000 }] });
  expect((await b.renew('y', 'r', 'same', later.token))[0]).toBe('renewed');
  await b.answer('x', { leases: [{ resource: 'r', leaseId: 'same', text: former.text, leftMs: 15_000 }] });
  expect((await b.renew('y', 'r', 'same', later.token))[0]).toBe('renewed');
});
