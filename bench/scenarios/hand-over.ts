// One hot lock: how long the next of so many waiters has to wait for its grant, and what Redis does for it. The
// floor of the latency is one Release of a bare server, in turn with it.
import { setTimeout as sleep } from 'node:timers/promises';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { median } from '../figures.ts';
import type { HandOvers, Uncontended } from '../load-order.ts';
import { redisUsage } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';

const QUEUES = [10, 1_000, 10_000];
const IDLE_MS = 1_500;

export const handOver: Scenario = {
  name: 'hand-over',
  title: 'From Release to the grant of the next in the queue, one after the other',
  async run(rig, { quick }) {
    const backend = await rig.redis();
    const floor = await rig.floor(backend);
    const floorGenerator = rig.generator();
    const rounds = quick ? 3 : 5;
    const times = quick ? 60 : 200;
    const found: Found[] = [];
    let fewest: number | undefined;
    for (const waiters of quick ? QUEUES.slice(0, 2) : QUEUES) {
      const leasehold = await rig.leasehold(backend);
      const generator = rig.generator();
      await generator.order({ kind: 'queue', address: formatHostPort(leasehold.address), waiters });
      await generator.order({ kind: 'pass', times });
      const idleFrom = await redisUsage(backend);
      await sleep(IDLE_MS);
      const idlePerMs = ((await redisUsage(backend)).commands - idleFrom.commands) / IDLE_MS;
      const seen: { readonly ours: HandOvers; readonly floorMs: number; readonly commands: number }[] = [];
      for (let round = 0; round < rounds; round++) {
        const before = await redisUsage(backend);
        const ours = await generator.order<HandOvers>({ kind: 'pass', times });
        const all = (await redisUsage(backend)).commands - before.commands;
        const bare = await floorGenerator.order<Uncontended>({
          kind: 'uncontended',
          peer: 'grpc',
          address: formatHostPort(floor.address),
          callers: 1,
          forMs: 400,
        });
        seen.push({
          ours,
          floorMs: bare.releaseP50Ms,
          commands: (all - idlePerMs * ours.tookMs) / times,
        });
      }
      await generator.order({ kind: 'empty' });
      await leasehold.stop();
      const commands = median(seen.map((round) => round.commands));
      fewest ??= commands;
      found.push(
        {
          name: `${waiters} waiters: p50`,
          unit: 'ms',
          value: median(seen.map(({ ours }) => ours.p50Ms)),
          floor: median(seen.map(({ floorMs }) => floorMs)),
          ratio: median(seen.map(({ ours, floorMs }) => ours.p50Ms / floorMs)),
          ...(waiters === 1_000 ? { budget: { of: 'value', atMost: 2 } } : {}),
          better: 'less',
        },
        {
          name: `${waiters} waiters: p99`,
          unit: 'ms',
          value: median(seen.map(({ ours }) => ours.p99Ms)),
          better: 'less',
        },
        {
          // Both directions: one that releases and queues again, and one that is granted.
          name: `${waiters} waiters: Redis commands per hand-over`,
          unit: '',
          value: commands,
          floor: fewest,
          ratio: commands / fewest,
          // The same whatever the queue's length; the rest is how well the idle ones are known.
          budget: { of: 'ratio', atMost: 1.1 },
          steady: 'value',
          better: 'less',
        },
      );
    }
    return found;
  },
};
