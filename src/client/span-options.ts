// Options that are time spans in milliseconds: a number that no message can hold is refused by the name of its option.

import type { Duration } from '../../generated/google/protobuf/duration.ts';
import { InvalidArgumentError } from './client-errors.ts';
import { durationOf } from './core/time-spans.ts';

/** `undefined`, the default of the server, stays undefined. Throws InvalidArgumentError for NaN and Infinity. */
export function spanOf(option: string, ms: number | undefined): Duration | undefined {
  if (ms === undefined) return undefined;
  if (Number.isFinite(ms)) return durationOf(ms);
  const description = `must be a finite number of milliseconds, but it is ${ms}`;
  throw new InvalidArgumentError(`${option} ${description}. Leave it out to get the default.`, {
    reason: 'INVALID_ARGUMENT',
    violations: [{ field: option, description }],
  });
}
