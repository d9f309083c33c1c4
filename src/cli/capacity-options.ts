// The options of the command `capacity`, and how their texts become numbers. Errors say what would have been right.

import { InvalidArgumentError } from 'commander';
import type { LockMode } from '../capacity/load.ts';
import { LIMITS } from '../domain/limits.ts';
import { duration } from './options.ts';

export interface CapacityOptions {
  readonly locks: number;
  readonly mode: LockMode;
  readonly holdStreams?: number;
  readonly rate: number;
  readonly waited?: number;
  readonly ttl: number;
  readonly waiters: number;
  readonly queueLength: number;
  readonly operations: number;
  readonly operationRate: number;
  readonly payload: number;
  readonly name: number;
  readonly owner: number;
  readonly metadata: number;
  readonly clients?: number;
  readonly replicas: number;
  readonly sentinels: number;
  readonly backlog: number;
  readonly fragmentation: number;
  readonly redisMemory: number;
  readonly redisDisk: number;
  readonly network: number;
  readonly serverMemory: number;
  readonly calibrate?: true;
  readonly config?: string;
  readonly json?: true;
}

const LONGEST_TTL_MS = 24 * 3_600_000;
const UNITS: Readonly<Record<string, number>> = { b: 1, kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30, tb: 2 ** 40 };
const BITS: Readonly<Record<string, number>> = { mbit: 1e6, gbit: 1e9 };

export function whole(most: number, least = 0) {
  return (text: string): number => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(
      `Give a whole number from ${least.toLocaleString('en')} to ${most.toLocaleString('en')}.`,
    );
  };
}

export function number(least: number, most: number) {
  return (text: string): number => {
    const value = /^\d{1,15}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(
      `Give a number from ${least.toLocaleString('en')} to ${most.toLocaleString('en')}.`,
    );
  };
}

export function ttl(text: string): number {
  const ms = duration(text);
  if (ms >= LIMITS.minTtlMs && ms <= LONGEST_TTL_MS) return ms;
  throw new InvalidArgumentError('Give a duration from 1s to 24h.');
}

/** Bytes. The units are those of Redis: 1kb is 1024 bytes. */
export function size(text: string): number {
  const [, count = '', unit = 'b'] = /^(\d{1,9})(b|kb|mb|gb|tb)$/i.exec(text) ?? [];
  const bytes = count === '' ? 0 : Number(count) * (UNITS[unit.toLowerCase()] ?? 0);
  if (bytes > 0) return bytes;
  throw new InvalidArgumentError('Give a whole number above 0 and a unit (b, kb, mb, gb, tb), such as 4gb.');
}

export function payload(text: string): number {
  const most = 4 * LIMITS.largestPayloadBytes;
  const bytes = text === '0' ? 0 : size(text);
  if (bytes <= most) return bytes;
  throw new InvalidArgumentError(`Give at most ${most / 2 ** 20}mb: no operation holds more.`);
}

/** Bytes a second. */
export function bandwidth(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,6})(mbit|gbit)$/i.exec(text) ?? [];
  const bytes = (Number(count) * (BITS[unit.toLowerCase()] ?? 0)) / 8;
  if (count !== '' && bytes > 0) return bytes;
  throw new InvalidArgumentError('Give a whole number above 0 and a unit (mbit, gbit), such as 1gbit.');
}
