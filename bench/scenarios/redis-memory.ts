// Bytes that Redis needs for a lock that is held and for an operation that waits to be claimed, with its indices.
import { formatHostPort } from '../../src/domain/host-port.ts';
import { redisUsage } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';

const BUDGETS = { locks: 600, operations: 1_024 };

export const redisMemory: Scenario = {
  name: 'redis-memory',
  title: 'Memory of Redis',
  async run(rig, { quick }) {
    const count = quick ? 3_000 : 10_000;
    const found: Found[] = [];
    for (const what of ['locks', 'operations'] as const) {
      const backend = await rig.redis();
      const server = await rig.leasehold(backend);
      const address = formatHostPort(server.address);
      const generator = rig.generator();
      // What is there once, whatever follows: scripts, connections, the meta hash.
      await generator.order({ kind: 'fill', address, what, count: 1 });
      const before = await redisUsage(backend);
      await generator.order({ kind: 'fill', address, what, count });
      const grown = (await redisUsage(backend)).memoryBytes - before.memoryBytes;
      await server.stop();
      found.push({
        name: what === 'locks' ? 'per lock' : 'per operation without payload',
        unit: 'B',
        value: grown / count,
        budget: { of: 'value', atMost: BUDGETS[what] },
        steady: 'value',
        better: 'less',
      });
    }
    return found;
  },
};
