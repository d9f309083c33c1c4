// What one instance tells the others of contention, as the text that the store passes on: its most contended resources
// and its oldest waits. Owns the form and its bounds, and how several reports become one answer.
//
// A text that another version has written in another form is left out, and so is what can't be in an answer. Nothing
// depends on it.

import { LIMITS } from '../../domain/limits.ts';
import { type Contended, mostContended, type WindowSummary } from './contention-window.ts';

export interface ReportedWait {
  readonly resource: string;
  readonly owner: string;
  readonly leaseIdHash: string;
  /** When the report was made. */
  readonly waitedMs: number;
}

export interface InstanceReport extends WindowSummary {
  /** The oldest first. Without those whose owner is empty. */
  readonly waits: readonly ReportedWait[];
  /** There are more waits than these. */
  readonly leavesOutWaits: boolean;
}

/** Resources and waits of one report. */
export const MOST_REPORTED = { contended: 100, waits: 300 } as const;
/** Bytes of one report. Most are far smaller: these bound long names. */
export const REPORT_BYTES = 65_536;
const BYTES_OF_CONTENDED = 24_576;
const BYTES_OF_WAITS = REPORT_BYTES - BYTES_OF_CONTENDED - 256;
const FORM = 1;
/** Thirty years: more can be neither a time since 1970 nor a duration. */
const MOST_MS = 1e12;

export function encodeReport({ windowMs, contended, restMs, waits, leavesOutWaits }: InstanceReport): string {
  const round = Math.round;
  const resources = fitting(contended, BYTES_OF_CONTENDED, (one) => [
    one.resource,
    Math.ceil(one.waitMs), // never less than it was
    Math.ceil(one.errorMs),
    one.waits,
    round(one.longestWaitMs),
    one.holds,
    round(one.holdMs),
  ]);
  const firstLeftOut = contended[resources.length];
  const queued = fitting(waits, BYTES_OF_WAITS, (one) => [
    one.resource,
    one.owner,
    one.leaseIdHash,
    round(one.waitedMs),
  ]);
  const head = [round(windowMs), Math.ceil(Math.max(restMs, firstLeftOut?.waitMs ?? 0))];
  const leavesOut = leavesOutWaits || queued.length < waits.length ? 1 : 0;
  return `[${FORM},${head.join(',')},${leavesOut},[${resources.join(',')}],[${queued.join(',')}]]`;
}

/** As many of them, in JSON, as have room. */
function fitting<One>(
  all: readonly One[],
  mostBytes: number,
  fieldsOf: (one: One) => readonly unknown[],
): string[] {
  const texts: string[] = [];
  let bytes = 0;
  for (const one of all) {
    const text = JSON.stringify(fieldsOf(one));
    bytes += Buffer.byteLength(text) + 1;
    if (bytes > mostBytes) break;
    texts.push(text);
  }
  return texts;
}

/** undefined if it is no report in this form. */
export function decodeReport(text: string): InstanceReport | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts)) return undefined;
  const [form, windowMs, restMs, leavesOut, resources, queued] = parts as readonly unknown[];
  if (form !== FORM || !areTimes([windowMs, restMs])) return undefined;
  if (!Array.isArray(resources) || !Array.isArray(queued)) return undefined;
  return {
    windowMs: Number(windowMs),
    restMs: Number(restMs),
    leavesOutWaits: leavesOut === 1 || queued.length > MOST_REPORTED.waits,
    contended: resources.slice(0, MOST_REPORTED.contended).flatMap(readContended),
    waits: queued.slice(0, MOST_REPORTED.waits).flatMap(readWait),
  };
}

function readContended(fields: unknown): readonly Contended[] {
  if (!Array.isArray(fields)) return [];
  const [resource, ...numbers] = fields as readonly unknown[];
  if (!isResource(resource) || numbers.length < 6 || !areTimes(numbers)) return [];
  const [waitMs = 0, errorMs = 0, waits = 0, longestWaitMs = 0, holds = 0, holdMs = 0] = numbers.map(Number);
  if (!Number.isInteger(waits) || !Number.isInteger(holds)) return [];
  return [{ resource, waitMs, errorMs, waits, longestWaitMs, holds, holdMs }];
}

function readWait(fields: unknown): readonly ReportedWait[] {
  if (!Array.isArray(fields)) return [];
  const [resource, owner, leaseIdHash, waitedMs] = fields as readonly unknown[];
  if (!isResource(resource) || typeof owner !== 'string' || typeof leaseIdHash !== 'string') return [];
  return areTimes([waitedMs]) ? [{ resource, owner, leaseIdHash, waitedMs: Number(waitedMs) }] : [];
}

function isResource(value: unknown): value is string {
  if (typeof value !== 'string' || value === '' || !value.isWellFormed()) return false;
  return Buffer.byteLength(value) <= LIMITS.resourceBytes;
}

/** In milliseconds; counts are held to the same bound. */
function areTimes(values: readonly unknown[]): boolean {
  return values.every((value) => typeof value === 'number' && value >= 0 && value <= MOST_MS);
}

/**
 * The most contended resources of all of them together. What a summary doesn't name can have been waited for there as
 * long as its `restMs`: that much is added to both the time and its error.
 */
export function merged(summaries: readonly WindowSummary[], most: number): WindowSummary {
  const restMs = summaries.reduce((sum, { restMs }) => sum + restMs, 0);
  const byName = new Map<string, Contended>();
  for (const summary of summaries) {
    for (const one of summary.contended) {
      const known = byName.get(one.resource) ?? unnamed(one.resource, restMs);
      byName.set(one.resource, {
        resource: one.resource,
        waitMs: known.waitMs - summary.restMs + one.waitMs,
        errorMs: known.errorMs - summary.restMs + one.errorMs,
        waits: known.waits + one.waits,
        longestWaitMs: Math.max(known.longestWaitMs, one.longestWaitMs),
        holds: known.holds + one.holds,
        holdMs: known.holdMs + one.holdMs,
      });
    }
  }
  const windowMs = summaries.reduce((longest, summary) => Math.max(longest, summary.windowMs), 0);
  return { windowMs, contended: mostContended([...byName.values()], most), restMs };
}

function unnamed(resource: string, restMs: number): Contended {
  return { resource, waitMs: restMs, errorMs: restMs, waits: 0, longestWaitMs: 0, holds: 0, holdMs: 0 };
}
