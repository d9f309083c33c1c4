// All scenarios, in the order in which they run.
import type { Scenario } from './scenario.ts';
import { durability } from './scenarios/durability.ts';
import { failover } from './scenarios/failover.ts';
import { handOver } from './scenarios/hand-over.ts';
import { holds } from './scenarios/holds.ts';
import { ladder } from './scenarios/ladder.ts';
import { operations } from './scenarios/operations.ts';
import { peers } from './scenarios/peers.ts';
import { processes } from './scenarios/processes.ts';
import { redisMemory } from './scenarios/redis-memory.ts';
import { startUp } from './scenarios/start-up.ts';
import { uncontended } from './scenarios/uncontended.ts';

export const SCENARIOS: readonly Scenario[] = [
  uncontended,
  ladder,
  peers,
  processes,
  durability,
  handOver,
  holds,
  operations,
  redisMemory,
  startUp,
  failover,
];
