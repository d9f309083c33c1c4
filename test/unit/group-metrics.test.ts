// Metrics of locks by the first segment of their names: what they add up, and what they never show.
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { GroupMetrics, MOST_GROUPS } from '../../src/admin/group-metrics.ts';
import { ManualClock } from '../support/manual-clock.ts';

function rig() {
  const clock = new ManualClock();
  const registry = new Registry();
  const groups = new GroupMetrics({ registry, separator: '/', clock });
  const acquired = (resource: string, end: 'granted' | 'contended' = 'granted') =>
    groups.acquired({ resource, owner: 'me', mode: 'exclusive', end, queued: false, tookMs: 1 });
  const lines = async (name: string) =>
    (await registry.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`));
  return { clock, groups, acquired, lines };
}

test('Acquisitions, waits and holds add up by the first segment of the name', async () => {
  const { clock, groups, acquired, lines } = rig();
  acquired('billing/42');
  acquired('billing/43/x');
  acquired('billing/42', 'contended');
  acquired('mail/1');
  const ends = [groups.waits('billing/42'), groups.waits('billing/7')];
  clock.advance(1_500);
  for (const end of ends) end();
  groups.holdEnded({ resource: 'mail/1', end: 'released', heldMs: 2_500 });
  expect(await lines('leasehold_group_acquires_total')).toEqual([
    'leasehold_group_acquires_total{group="billing",outcome="granted"} 2',
    'leasehold_group_acquires_total{group="billing",outcome="contended"} 1',
    'leasehold_group_acquires_total{group="mail",outcome="granted"} 1',
  ]);
  expect(await lines('leasehold_group_wait_seconds_total')).toEqual([
    'leasehold_group_wait_seconds_total{group="billing"} 3',
  ]);
  expect(await lines('leasehold_group_hold_seconds_total')).toEqual([
    'leasehold_group_hold_seconds_total{group="mail"} 2.5',
  ]);
});

test('A name without the character is never shown, but counted as other', async () => {
  const { acquired, lines } = rig();
  for (const name of ['secret', 'also:secret', '/', '/x', '']) acquired(name);
  expect(await lines('leasehold_group_acquires_total')).toEqual([
    'leasehold_group_acquires_total{group="other",outcome="granted"} 5',
  ]);
});

test('After a hundred groups the next ones are counted as other, and the first hundred go on', async () => {
  const { acquired, lines } = rig();
  for (let i = 0; i < 100_000; i++) acquired(`group${i}/x`);
  acquired('group0/y');
  const found = await lines('leasehold_group_acquires_total');
  expect(found).toHaveLength(MOST_GROUPS + 1);
  expect(found).toContain('leasehold_group_acquires_total{group="group0",outcome="granted"} 2');
  expect(found.at(-1)).toBe('leasehold_group_acquires_total{group="other",outcome="granted"} 99900');
});
