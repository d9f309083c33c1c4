// What an answer tells of a lease, and what told memory reads of the text that a script recorded of it.

import { SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';

const CEILING_FIELD = 3;

/** What an answer tells of a lease. */
export interface Told {
  readonly resource: string;
  readonly leaseId: string;
  /** As the script recorded it. */
  readonly text: string;
  /** What people are told of it: JSON. */
  readonly about: string;
  /** When Redis was asked, on the monotonic clock, as the deadlines are. */
  readonly askedAtMs: number;
  readonly deadlineMs: number;
  /** The end of its min_hold; 0: none that began with this answer. */
  readonly holdMs: number;
  readonly reign: string;
  /** The lease clock of the script, in microseconds. */
  readonly clockUs: number;
}

/** The end of its max_hold, on the monotonic clock. */
export function ceilingOf({ text, askedAtMs, clockUs }: Told): number {
  let at = -1;
  for (let field = 0; field < CEILING_FIELD; field++) at = text.indexOf(' ', at + 1);
  if (text.startsWith('0 ', at + 1)) return Number.POSITIVE_INFINITY;
  const ceilingUs = Number(text.slice(at + 1, text.indexOf(' ', at + 1)));
  return askedAtMs + (ceilingUs - clockUs) / 1_000 - SKEW_ALLOWANCE_MS;
}

/** The call that speaks for it. */
export function stampOf(text: string): string {
  return text.split(' ', 6)[5] ?? '';
}

/** Whether an administrator took it away. */
export function isRevoked(text: string): boolean {
  return text.includes(' revoked ');
}
