// All scenarios, in the order in which they run, and those of a quick run.
import type { Scenario } from './scenario.ts';
import { acquireMany } from './scenarios/acquire-many.ts';
import { counting } from './scenarios/counting.ts';
import { durability } from './scenarios/durability.ts';
import { failover } from './scenarios/failover.ts';
import { handOver } from './scenarios/hand-over.ts';
import { holds } from './scenarios/holds.ts';
import { ladder } from './scenarios/ladder.ts';
import { list } from './scenarios/list.ts';
import { modes } from './scenarios/modes.ts';
import { operations } from './scenarios/operations.ts';
import { overload } from './scenarios/overload.ts';
import { peers } from './scenarios/peers.ts';
import { processes } from './scenarios/processes.ts';
import { reconnect } from './scenarios/reconnect.ts';
import { redisMemory } from './scenarios/redis-memory.ts';
import { rollCallCost } from './scenarios/roll-call-cost.ts';
import { startUp } from './scenarios/start-up.ts';
import { uncontended } from './scenarios/uncontended.ts';
import { units } from './scenarios/units.ts';
import { watch } from './scenarios/watch.ts';

export const SCENARIOS: readonly Scenario[] = [
  uncontended,
  ladder,
  peers,
  processes,
  durability,
  overload,
  modes,
  acquireMany,
  handOver,
  holds,
  reconnect,
  watch,
  list,
  operations,
  redisMemory,
  units,
  counting,
  rollCallCost,
  startUp,
  failover,
];

/** What `--quick` runs if nothing is named: some five minutes. The others are for those who ask for them. */
export const QUICK_SCENARIOS: readonly Scenario[] = [
  uncontended,
  peers,
  overload,
  handOver,
  holds,
  watch,
  startUp,
];
