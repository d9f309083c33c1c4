// What the load of a drill has seen: each answer with its time, each loss, each violation. It is written while the load
// runs and read when the drill reports. All moments are milliseconds on the monotonic clock of this one process, so
// that they can be compared.

import type { Clock } from '../domain/clock.ts';

export const CALL_KINDS = [
  /** A new lock for the first caller. */
  'acquire',
  /** From the call of a release to the grant of the next one in the queue. */
  'hand-over',
  'renew',
  'release',
  'begin',
  /** From the begin of an operation to its worker. */
  'claim',
  'heartbeat',
] as const;
export type CallKind = (typeof CALL_KINDS)[number];

export interface Sample {
  readonly kind: CallKind;
  readonly sentAtMs: number;
  readonly tookMs: number;
  /** Why it failed; undefined if it succeeded. */
  readonly failure: string | undefined;
}

export interface Loss {
  readonly what: 'lease' | 'operation';
  readonly name: string;
  readonly reason: string;
  readonly atMs: number;
}

export const MOST_RECORDS = 400_000;

export class CanaryRecord {
  readonly samples: Sample[] = [];
  /** When a lease was renewed, by a call or by a server for a stream. In order. */
  readonly renewals: number[] = [];
  /** When something new was granted. In order. */
  readonly grants: number[] = [];
  readonly losses: Loss[] = [];
  readonly violations: string[] = [];
  readonly #clock: Clock;
  readonly #tell: (what: string) => void;

  /** @param tell of each loss and violation, at once: a drill that is interrupted has no report. */
  constructor(clock: Clock, tell: (what: string) => void = () => {}) {
    this.#clock = clock;
    this.#tell = tell;
  }

  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  answered(kind: CallKind, sentAtMs: number): void {
    const nowMs = this.nowMs();
    this.samples.push({ kind, sentAtMs, tookMs: nowMs - sentAtMs, failure: undefined });
    forgetOldest(this.samples);
    if (kind === 'acquire' || kind === 'hand-over') this.#happened(this.grants, nowMs);
    if (kind === 'renew') this.#happened(this.renewals, nowMs);
  }

  failed(kind: CallKind, sentAtMs: number, failure: string): void {
    this.samples.push({ kind, sentAtMs, tookMs: this.nowMs() - sentAtMs, failure });
    forgetOldest(this.samples);
  }

  /** A server renewed the lease of a stream: there is no call that took a time. */
  renewedByStream(): void {
    this.#happened(this.renewals, this.nowMs());
  }

  lost(what: Loss['what'], name: string, reason: string): void {
    this.losses.push({ what, name, reason, atMs: this.nowMs() });
    this.#tell(`lost: ${what} ${name} (${reason})`);
  }

  violated(text: string): void {
    this.violations.push(text);
    this.#tell(`VIOLATION: ${text}`);
  }

  #happened(moments: number[], atMs: number): void {
    moments.push(atMs);
    forgetOldest(moments);
  }
}

/** A drill that waits long for a failover forgets what was long before it. */
function forgetOldest(records: unknown[]): void {
  if (records.length > MOST_RECORDS) records.splice(0, MOST_RECORDS / 2);
}

export interface Gap {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * The longest time without any of these moments between `fromMs` and `untilMs`. It begins with the last moment before
 * `fromMs` where there is one, and an end without moments counts up to `untilMs`.
 */
export function longestGap(moments: readonly number[], fromMs: number, untilMs: number): Gap {
  const before = moments.findLast((atMs) => atMs <= fromMs);
  const inside = moments.filter((atMs) => atMs > fromMs && atMs < untilMs);
  let longest = { fromMs: before ?? fromMs, untilMs: inside[0] ?? untilMs };
  for (const [index, atMs] of inside.entries()) {
    const nextMs = inside[index + 1] ?? untilMs;
    if (nextMs - atMs > longest.untilMs - longest.fromMs) longest = { fromMs: atMs, untilMs: nextMs };
  }
  return longest;
}

/** The value below which this share of the values lies; undefined without values. */
export function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
