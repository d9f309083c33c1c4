// google.protobuf.Duration and Timestamp to milliseconds and back. Owns their forms; the allowed ranges are in
// violations.ts and the domain's limits.

import type { Duration } from '../../generated/google/protobuf/duration.ts';
import type { Timestamp } from '../../generated/google/protobuf/timestamp.ts';
import type { SentDuration } from './violations.ts';

const NANOS_PER_MS = 1_000_000;
// Of google/protobuf/duration.proto: about 10,000 years.
const MAX_SECONDS = 315_576_000_000n;

/** Milliseconds; undefined when unset, NaN when the message breaks Duration's own rules. */
export function decodeDuration(duration: Duration | undefined): SentDuration {
  if (duration === undefined) return undefined;
  const { seconds, nanos } = duration;
  const withinSecond = Math.abs(nanos) < 1_000 * NANOS_PER_MS;
  const sameSign = seconds === 0n || nanos === 0 || seconds > 0n === nanos > 0;
  const inRange = seconds >= -MAX_SECONDS && seconds <= MAX_SECONDS;
  if (!withinSecond || !sameSign || !inRange) return Number.NaN;
  return Number(seconds) * 1_000 + nanos / NANOS_PER_MS;
}

/** Rounded down to the microsecond, so that no span that is told is longer than it was. */
export function encodeDuration(ms: number): Duration {
  const micros = Math.floor(ms * 1_000);
  const seconds = Math.trunc(micros / 1_000_000);
  return { seconds: BigInt(seconds), nanos: (micros - seconds * 1_000_000) * 1_000 };
}

// Of google/protobuf/timestamp.proto: the years 1 to 9999.
const FIRST_SECOND = -62_135_596_800n;
const LAST_SECOND = 253_402_300_799n;

/** Whole milliseconds since 1970, rounded up; undefined when unset, NaN when the message breaks Timestamp's rules. */
export function decodeTimestamp(timestamp: Timestamp | undefined): number | undefined {
  if (timestamp === undefined) return undefined;
  const { seconds, nanos } = timestamp;
  const inRange = seconds >= FIRST_SECOND && seconds <= LAST_SECOND && nanos >= 0 && nanos < 1e9;
  return inRange ? Number(seconds) * 1_000 + Math.ceil(nanos / NANOS_PER_MS) : Number.NaN;
}

/** `wallMs` is since 1970 and not negative. */
export function encodeTimestamp(wallMs: number): Timestamp {
  const seconds = Math.floor(wallMs / 1_000);
  return { seconds: BigInt(seconds), nanos: Math.floor((wallMs - seconds * 1_000) * NANOS_PER_MS) };
}
