// Every number that users give to this client goes through here: one that means nothing is refused by the name of its
// option, before anything is sent. How large a number may be is the server's business, which refuses it by a field of
// the contract; option-names.ts names the option then.

import type { Duration } from '../../generated/google/protobuf/duration.ts';
import type { Timestamp } from '../../generated/google/protobuf/timestamp.ts';
import { LIMITS } from '../domain/limits.ts';
import { invalidOption } from './client-errors.ts';
import { durationOf, timestampOf } from './core/time-spans.ts';

const TO_DEFAULT = 'Leave it out to get the default.';
/** Of google/protobuf/duration.proto: about 10,000 years. */
const MOST_MS = 315_576_000_000_000;
/** Of the int32 and uint32 fields of the contract. */
const MOST = 2 ** 31 - 1;
const MOST_TOKEN = 2n ** 63n - 1n;
const SHOWN_CHARS = 40;

/** A span that a server counts; undefined, the default of the server, stays undefined. */
export function spanOf(option: string, ms: number | undefined): Duration | undefined {
  if (ms === undefined) return undefined;
  if (typeof ms === 'number' && ms >= 0 && ms <= MOST_MS) return durationOf(ms);
  throw wrong(option, 'must be a finite number of milliseconds from 0', ms);
}

/** A wait or a time-out, which this client counts and which Infinity makes endless. */
export function waitMsOf<Default extends number | undefined>(
  option: string,
  ms: number | undefined,
  defaultMs: Default,
): number | Default {
  if (ms === undefined) return defaultMs;
  if (typeof ms !== 'number' || !(ms >= 0)) {
    throw wrong(option, 'must be a number of milliseconds from 0, or Infinity for ever', ms);
  }
  // No server waits longer; who asks for more, with Number.MAX_SAFE_INTEGER for example, means for ever.
  return ms > LIMITS.streamWaitMs ? Number.POSITIVE_INFINITY : ms;
}

export function countOf(option: string, count: number, least: number): number;
export function countOf(option: string, count: number | undefined, least: number): number | undefined;
export function countOf(option: string, count: number | undefined, least: number): number | undefined {
  if (count === undefined || (Number.isInteger(count) && count >= least && count <= MOST)) return count;
  throw wrong(option, `must be a whole number from ${least}`, count);
}

/** A fencing token or the version of a record. */
export function bigintOf(option: string, value: bigint): bigint;
export function bigintOf(option: string, value: bigint | undefined): bigint | undefined;
export function bigintOf(option: string, value: bigint | undefined): bigint | undefined {
  if (value === undefined || (typeof value === 'bigint' && value >= 0n && value <= MOST_TOKEN)) return value;
  throw wrong(option, 'must be a bigint, such as 42n', value);
}

export function instantOf(option: string, date: Date | undefined): Timestamp | undefined {
  if (date === undefined || (date instanceof Date && !Number.isNaN(date.getTime()))) return timestampOf(date);
  throw wrong(option, 'must be a valid Date', date);
}

function wrong(option: string, rule: string, value: unknown): Error {
  return invalidOption(option, `${rule}, but it is ${shown(value)}`, TO_DEFAULT);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, SHOWN_CHARS));
  if (typeof value === 'bigint') return `${value}n`;
  if (value instanceof Date) return 'an invalid Date';
  const isPlain = value === null || ['number', 'boolean', 'undefined'].includes(typeof value);
  return isPlain ? String(value) : `a value of the type ${typeof value}`;
}
