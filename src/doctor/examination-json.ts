// An examination as JSON, for programs and between a server's admin port and `leasehold doctor --admin`. Names are in
// snake_case, moments are RFC 3339, spans of time are milliseconds.

import { type Examination, type Finding, SEVERITIES, worstOf } from './examination.ts';

export function examinationToJson({ examinedAtMs, tookMs, deployment, findings }: Examination): string {
  return JSON.stringify({
    examined_at: new Date(examinedAtMs).toISOString(),
    took_ms: tookMs,
    deployment,
    worst: worstOf(findings),
    findings,
  });
}

/** Undefined if it is none. */
export function examinationFromJson(text: string): Examination | undefined {
  const value = parsed(text);
  if (!isRecord(value)) return undefined;
  const { examined_at: at, took_ms: tookMs, deployment, findings } = value;
  const examinedAtMs = typeof at === 'string' ? Date.parse(at) : Number.NaN;
  if (Number.isNaN(examinedAtMs) || typeof tookMs !== 'number' || typeof deployment !== 'string')
    return undefined;
  if (!Array.isArray(findings)) return undefined;
  const read = findings.map(findingFrom);
  const known = read.filter((finding) => finding !== undefined);
  return known.length === read.length ? { examinedAtMs, tookMs, deployment, findings: known } : undefined;
}

function findingFrom(value: unknown): Finding | undefined {
  if (!isRecord(value)) return undefined;
  const { check, subject, seen, why, fix } = value;
  const severity = SEVERITIES.find((known) => known === value.severity);
  if (severity === undefined || !isText(check) || !isText(subject) || !isText(seen)) return undefined;
  return {
    check,
    severity,
    subject,
    seen,
    why: isText(why) ? why : undefined,
    fix: isText(fix) ? fix : undefined,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
