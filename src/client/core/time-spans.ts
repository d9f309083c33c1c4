// Every conversion between milliseconds or dates and the protobuf messages for them. It doesn't check what users give:
// number-options.ts does.

import type { Duration } from '../../../generated/google/protobuf/duration.ts';
import type { Timestamp } from '../../../generated/google/protobuf/timestamp.ts';

const MS_PER_SECOND = 1_000;
const NANOS_PER_MS = 1e6;

/** Cuts off what is less than a nanosecond. Throws RangeError unless `ms` is finite. */
export function durationOf(ms: number): Duration {
  const seconds = Math.trunc(ms / MS_PER_SECOND);
  return {
    seconds: BigInt(seconds),
    nanos: Math.trunc((ms - seconds * MS_PER_SECOND) * NANOS_PER_MS),
  };
}

/** Milliseconds, with a fraction where the message has one. */
export function msOf(duration: Duration): number;
export function msOf(duration: Duration | undefined): number | undefined;
export function msOf(duration: Duration | undefined): number | undefined {
  return duration && Number(duration.seconds) * MS_PER_SECOND + duration.nanos / NANOS_PER_MS;
}

export function dateOf(timestamp: Timestamp | undefined): Date | undefined {
  return timestamp && new Date(Number(timestamp.seconds) * MS_PER_SECOND + timestamp.nanos / NANOS_PER_MS);
}

export function timestampOf(date: Date | undefined): Timestamp | undefined {
  if (date === undefined) return undefined;
  const ms = date.getTime();
  const seconds = Math.floor(ms / MS_PER_SECOND);
  return { seconds: BigInt(seconds), nanos: (ms - seconds * MS_PER_SECOND) * NANOS_PER_MS };
}
