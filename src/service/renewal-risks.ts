// Why what a stream keeps may end although its client lives: the reasons that `at_risk` gives. How they are told is the
// transport's business.

import { CoordinationError } from '../domain/errors.ts';

export type RiskReason =
  | 'store-unavailable'
  | 'primary-unconfirmed'
  | 'durability-unmet'
  | 'max-hold'
  | 'renew-for';

/** What a renewal that failed with this error puts at risk. */
export function riskOf(error: unknown): RiskReason {
  const code = error instanceof CoordinationError ? error.code : undefined;
  if (code === 'PRIMARY_UNCONFIRMED') return 'primary-unconfirmed';
  return code === 'DURABILITY_UNMET' ? 'durability-unmet' : 'store-unavailable';
}
