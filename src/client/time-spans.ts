// Milliseconds and dates to the protobuf messages for them, and back.

import type { Duration } from '../../generated/google/protobuf/duration.ts';
import type { Timestamp } from '../../generated/google/protobuf/timestamp.ts';
import { InvalidArgumentError } from './client-errors.ts';

/** Throws InvalidArgumentError for what no message can hold. */
export function durationOf(ms: number | undefined): Duration | undefined {
  if (ms === undefined) return undefined;
  if (!Number.isFinite(ms)) {
    const description = `must be a number of milliseconds, is ${ms}`;
    throw new InvalidArgumentError(
      `A time span ${description}. Leave it out for the default of the server.`,
      {
        reason: 'INVALID_ARGUMENT',
        violations: [{ field: '', description }],
      },
    );
  }
  const seconds = Math.trunc(ms / 1_000);
  return { seconds: BigInt(seconds), nanos: Math.trunc((ms - seconds * 1_000) * 1e6) };
}

export function msOf(duration: Duration | undefined): number | undefined {
  return duration && Number(duration.seconds) * 1_000 + duration.nanos / 1e6;
}

export function dateOf(timestamp: Timestamp | undefined): Date | undefined {
  return timestamp && new Date(Number(timestamp.seconds) * 1_000 + timestamp.nanos / 1e6);
}

export function timestampOf(date: Date | undefined): Timestamp | undefined {
  if (date === undefined) return undefined;
  const ms = date.getTime();
  const seconds = Math.floor(ms / 1_000);
  return { seconds: BigInt(seconds), nanos: (ms - seconds * 1_000) * 1e6 };
}
