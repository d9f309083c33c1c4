// All faults, by name.
import { CLOCK_FAULTS } from './clock-steps.ts';
import { FAILOVER_FAULTS } from './failovers.ts';
import type { FaultKind } from './fault.ts';
import { HARD_FAILOVERS } from './hard-failovers.ts';
import { LAGGARD_FAULTS } from './laggards.ts';
import { loneSentinel } from './lone-sentinel.ts';
import { PARTITION_FAULTS } from './partitions.ts';
import { PROCESS_FAULTS } from './process-faults.ts';
import { STATE_FAULTS } from './redis-state.ts';
import { RESTART_FAULTS } from './restarts.ts';

export const CATALOGUE: readonly FaultKind[] = [
  ...PROCESS_FAULTS,
  ...PARTITION_FAULTS,
  ...FAILOVER_FAULTS,
  ...RESTART_FAULTS,
  ...CLOCK_FAULTS,
  ...STATE_FAULTS,
  ...LAGGARD_FAULTS,
  ...HARD_FAILOVERS,
  loneSentinel,
];

/** Throws where no fault has this name. */
export function faultNamed(name: string): FaultKind {
  const kind = CATALOGUE.find((candidate) => candidate.name === name);
  if (kind === undefined) throw new Error(`there is no fault "${name}"; see test/chaos/rig/faults`);
  return kind;
}
