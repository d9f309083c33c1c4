// The bytes that Redis needs for a held lock and for an operation that waits to be claimed, with their indices.
import { formatHostPort } from '../../src/domain/host-port.ts';
import type { FillOrder } from '../load-order.ts';
import { type Backend, type Rig, redisUsage } from '../rig.ts';
import type { Found, Scenario } from '../scenario.ts';

const BUDGETS = { locks: 600, operations: 1_024 };
/** The budgets are for Redis as deploy/redis/redis.conf sets it up. */
const SETTINGS = [
  { name: 'as Redis comes', directives: [], isBudgeted: false },
  {
    name: 'as deploy/redis sets it',
    directives: ['hash-max-listpack-value 512', 'hash-max-listpack-entries 128'],
    isBudgeted: true,
  },
];

export const redisMemory: Scenario = {
  name: 'redis-memory',
  title: 'Memory of Redis',
  async run(rig, { quick }) {
    const count = quick ? 3_000 : 10_000;
    const found: Found[] = [];
    for (const { name, directives, isBudgeted } of SETTINGS) {
      for (const what of ['locks', 'operations'] as const) {
        const grown = await growth(rig, await rig.redis(directives), what, count);
        found.push({
          name: `${what === 'locks' ? 'per lock' : 'per operation without payload'}, ${name}`,
          unit: 'B',
          value: grown / count,
          ...(isBudgeted ? { budget: { of: 'value', atMost: BUDGETS[what] } } : {}),
          steady: 'value',
          better: 'less',
        });
      }
    }
    return found;
  },
};

async function growth(rig: Rig, backend: Backend, what: FillOrder['what'], count: number): Promise<number> {
  const server = await rig.leasehold(backend);
  const address = formatHostPort(server.address);
  const generator = rig.generator();
  // This exists once, whatever follows: scripts, connections, the meta hash.
  await generator.order({ kind: 'fill', address, what, count: 1 });
  const before = await redisUsage(backend);
  await generator.order({ kind: 'fill', address, what, count });
  const after = await redisUsage(backend);
  await server.stop();
  return after.memoryBytes - before.memoryBytes;
}
