// The text that Prometheus scrapes, at its largest: callers choose the names of groups and types, so both are bounded,
// and whatever stands in them is well formed.
import { execFileSync } from 'node:child_process';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { GroupMetrics } from '../../src/admin/group-metrics.ts';
import { LockMetrics } from '../../src/admin/lock-metrics.ts';
import { OperationMetrics } from '../../src/admin/operation-metrics.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { AcquireEnd, LockObserver } from '../../src/service/lock-observer.ts';
import { findPrometheus } from '../support/debian-prometheus.ts';
import { readExposition } from '../support/exposition.ts';

const ODD = ['a"b', 'back\\slash', 'new\nline', '\r', 'ünï', '\u{1f4a5}', '{}', ' ', '\ud800', '#', '\u0000'];
const NAMES = [...ODD, ...Array.from({ length: 1_000 }, (_, index) => `name${index}`)];
const ENDS: readonly AcquireEnd[] = [
  'granted',
  'contended',
  'quarantine',
  'queue-full',
  'cancelled',
  'moved',
  'released',
  'revoked',
  'draining',
  'unavailable',
  'refused',
];

const found = await findPrometheus();

async function largest(): Promise<string> {
  const registry = new Registry();
  const locks: readonly LockObserver[] = [
    new LockMetrics(registry),
    new GroupMetrics({ registry, separator: '/', clock: systemClock }),
  ];
  const operations = new OperationMetrics(registry);
  for (const name of NAMES) {
    const resource = `${name}/1`;
    for (const each of locks) {
      for (const mode of ['exclusive', 'shared', 'permits'] as const) {
        for (const end of ENDS) {
          each.acquired({
            resource,
            owner: 'me',
            mode,
            end,
            queued: mode !== 'shared',
            tookMs: 7,
            handoverMs: 1,
          });
        }
      }
      each.waits(resource, 'me', 'id')();
      each.holdEnded({ resource, end: 'released', heldMs: 3 });
    }
    for (const outcome of ['created', 'existing', 'refused'] as const) operations.begun(name, outcome);
    for (const was of ['pending', 'stale'] as const) operations.taken(name, { was, waitedMs: 5 });
    for (const state of ['succeeded', 'failed', 'cancelled', 'dead'] as const) operations.ended(name, state);
    operations.ran(name, 4);
    operations.retried(name);
  }
  return registry.metrics();
}

test('However many groups and types there are, a scrape stays small', async () => {
  const text = await largest();
  expect(Buffer.byteLength(text)).toBeLessThan(500_000);
  const groups = readExposition(text).get('leasehold_group_acquires_total')?.samples ?? [];
  expect(groups).toHaveLength(101 * ENDS.length);
  expect(groups.reduce((sum, { value }) => sum + value, 0)).toBe(NAMES.length * 3 * ENDS.length);
});

const title = 'missing' in found ? `: ${found.missing}` : '';
// Skipped where neither the PATH nor Debian's packages have a Prometheus; the title says why.
test.skipIf('missing' in found)(
  `promtool finds nothing to say about it, whatever the names hold${title}`,
  async () => {
    if ('missing' in found) throw new Error(found.missing);
    const options = { input: await largest(), env: found.env, encoding: 'utf8', timeout: 60_000 } as const;
    expect(execFileSync(found.promtool, ['check', 'metrics'], options)).toBe('');
    expect(() =>
      execFileSync(found.promtool, ['check', 'metrics'], { ...options, input: 'a{b="c} 1\n', stdio: 'pipe' }),
    ).toThrow();
  },
);
