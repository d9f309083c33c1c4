// What the metrics cost each Acquire and Release: the observers of an instance hear, in this process, what those two
// calls tell them, again and again: the metrics with groups, and the window of contention. The floor is the CPU time of
// a server under load, for all that a call takes.
import { Registry } from 'prom-client';
import { CallMetrics } from '../../src/admin/call-metrics.ts';
import { GroupMetrics } from '../../src/admin/group-metrics.ts';
import { LockMetrics } from '../../src/admin/lock-metrics.ts';
import { StoreMetrics } from '../../src/admin/store-metrics.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { ContentionWindow } from '../../src/service/contention/contention-window.ts';
import { observers } from '../../src/service/lock-observer.ts';
import { median } from '../figures.ts';
import type { Scenario } from '../scenario.ts';
import { sampleServer } from './uncontended.ts';

const CALLERS = 64;
const CYCLES = 300_000;
const MOST_OF_A_CALL = 0.02;

export const counting: Scenario = {
  name: 'counting',
  title: 'What the metrics add to Acquire and Release',
  async run(rig, { quick }) {
    const backend = await rig.redis();
    const server = await rig.leasehold(backend);
    const generator = rig.generator();
    const forMs = quick ? 700 : 2_500;
    await sampleServer(generator, backend, server, CALLERS, 2 * forMs);
    const count = counter();
    cpuUsOf(count);
    const pairs: { readonly ours: number; readonly floor: number }[] = [];
    for (let round = 0; round < (quick ? 5 : 9); round++) {
      const { cpuUsPerCall } = await sampleServer(generator, backend, server, CALLERS, forMs);
      pairs.push({ ours: cpuUsOf(count) / (2 * CYCLES), floor: cpuUsPerCall });
    }
    return [
      {
        name: 'CPU of the metrics per call',
        unit: 'us',
        value: median(pairs.map(({ ours }) => ours)),
        floor: median(pairs.map(({ floor }) => floor)),
        ratio: median(pairs.map(({ ours, floor }) => ours / floor)),
        budget: { of: 'ratio', atMost: MOST_OF_A_CALL },
        better: 'less',
      },
    ];
  },
};

/** Tells the metrics what they hear of one Acquire and one Release. */
function counter(): (tookMs: number) => void {
  const registry = new Registry();
  const calls = new CallMetrics(registry);
  const store = new StoreMetrics(registry);
  const groups = new GroupMetrics({ registry, separator: ':', clock: systemClock });
  const locks = observers(new LockMetrics(registry), groups);
  const contention = new ContentionWindow(systemClock);
  const about = { resource: 'invoice:42', owner: 'billing-7f9c@host-3', mode: 'exclusive' } as const;
  return (tookMs) => {
    store.commandEnded('acquire-lock', 'granted', tookMs);
    locks.acquired({ ...about, end: 'granted', queued: false, tookMs });
    calls.callEnded('Acquire', 'OK', tookMs);
    store.commandEnded('release-lock', 'released', tookMs);
    locks.holdEnded({ resource: about.resource, end: 'released', heldMs: tookMs });
    contention.held(about.resource, tookMs);
    calls.callEnded('Release', 'OK', tookMs);
  };
}

function cpuUsOf(count: (tookMs: number) => void): number {
  const before = process.cpuUsage();
  for (let i = 0; i < CYCLES; i++) count((i % 7) * 0.3);
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
