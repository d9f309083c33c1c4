// What Prometheus scrapes of the roll call: whether it could end the next quarantine early, whom the present one waits
// for, and how quarantines ended. Counts what a store's status tells; SafetyMetrics looks at that.

import type { Registry } from 'prom-client';
import type { QuarantineEnd, RollCallStatus } from '../store/store.ts';
import { readGauge } from './read-gauge.ts';
import { Tally } from './tally.ts';

const WAYS = ['early', 'full'] as const;

export class RollCallMetrics {
  readonly #ends: Tally;
  readonly #putBack: Tally;
  #countedEnd: QuarantineEnd | undefined;
  #countedPutBack = 0;

  constructor(registry: Registry, status: () => RollCallStatus) {
    readGauge(
      registry,
      'leasehold_told_leases',
      'Leases that this instance would put back after a failover',
      () => status().toldLeases,
    );
    readGauge(
      registry,
      'leasehold_told_memory_incomplete',
      '1 while leases may be valid that this instance has told and could not remember',
      () => Number(status().incomplete),
    );
    readGauge(
      registry,
      'leasehold_roll_call_missing_instances',
      'Instances that the present roll call waits for',
      () => status().missingCount,
    );
    readGauge(
      registry,
      'leasehold_newcomer_remaining_seconds',
      'For how long this instance answers nothing yet, because it has just registered; 0: it answers',
      () => status().newcomerRemainingMs / 1_000,
    );
    this.#ends = new Tally(registry, {
      name: 'leasehold_quarantine_ends_total',
      help: 'Quarantines that this instance has seen end, by how: early, full',
      labelNames: ['how'],
    });
    for (const how of WAYS) this.#ends.of(how);
    this.#putBack = new Tally(registry, {
      name: 'leasehold_roll_call_leases_put_back_total',
      help: 'Leases that this instance has put back, which the data of a new primary lacked',
    });
  }

  /** Counts what is new since the last look. */
  look({ lastEnd, putBack }: RollCallStatus): void {
    if (lastEnd && !isSame(lastEnd, this.#countedEnd)) this.#ends.of(lastEnd.how).add();
    this.#countedEnd = lastEnd;
    this.#putBack.of().add(Math.max(0, putBack - this.#countedPutBack));
    this.#countedPutBack = putBack;
  }
}

function isSame(one: QuarantineEnd, other: QuarantineEnd | undefined): boolean {
  return one.how === other?.how && one.why === other.why && one.tookMs === other.tookMs;
}
