// An examination as people read it: the worst first, and what concerns several nodes alike said once.

import type { Examination, Finding, Severity } from '../doctor/examination.ts';
import { printable, span, table, timeOfDay } from './text.ts';

export interface ReportOptions {
  /** Show what is fine, too. */
  readonly verbose: boolean;
  /** The columns of the terminal; undefined without one. */
  readonly width: number | undefined;
}

const INDENT = '    ';
const WIDEST = 100;
const NAMES: Readonly<Record<Severity, string>> = {
  ok: 'OK',
  info: 'INFO',
  warning: 'WARNING',
  error: 'ERROR',
};

export function reportText(examination: Examination, { verbose, width }: ReportOptions): string {
  const { deployment, tookMs, findings } = examination;
  const room = Math.min(width ?? WIDEST, WIDEST);
  const fine = findings.filter(({ severity }) => severity === 'ok');
  const groups = groupsOf(findings.filter(({ severity }) => severity !== 'ok'));
  const parts = [
    `${printable(deployment)} (examined in ${tookMs < 1_000 ? `${tookMs} ms` : span(tookMs)})\n`,
    ...groups.map((group) => groupText(group, room)),
    ...(verbose && fine.length > 0 ? [fineText(fine, width)] : []),
    summaryOf(findings, verbose),
  ];
  return parts.join('\n');
}

/** What differs between two examinations, in one line each. */
export interface Change {
  readonly kind: 'new' | 'gone';
  readonly finding: Finding;
}

export function changesBetween(before: Examination, after: Examination): readonly Change[] {
  const bad = ({ findings }: Examination): ReadonlyMap<string, Finding> =>
    new Map(findings.filter(({ severity }) => severity !== 'ok').map((one) => [keyOf(one), one]));
  const [old, now] = [bad(before), bad(after)];
  const changes = (kind: Change['kind'], from: typeof old, other: typeof old): readonly Change[] =>
    [...from].filter(([key]) => !other.has(key)).map(([, finding]) => ({ kind, finding }));
  return [...changes('gone', old, now), ...changes('new', now, old)];
}

export function changeText(atMs: number): (change: Change) => string {
  return ({ kind, finding: { severity, check, subject, seen } }) =>
    `${timeOfDay(atMs)}  ${kind.padEnd(4)}  ${NAMES[severity].padEnd(7)}  ${printable(`${check}  ${subject}: ${seen}`)}\n`;
}

/** The numbers in `seen` change from one look to the next. */
function keyOf({ check, subject, severity }: Finding): string {
  return JSON.stringify([check, subject, severity]);
}

type Group = readonly [Finding, ...Finding[]];

function groupsOf(findings: readonly Finding[]): readonly Group[] {
  const alike = Map.groupBy(findings, ({ check, severity, seen, why }) =>
    JSON.stringify([check, severity, seen, why]),
  );
  return [...alike.values()].flatMap(([first, ...others]) => (first ? [[first, ...others] as const] : []));
}

function groupText(group: Group, room: number): string {
  const [{ check, severity, seen, why }] = group;
  const subjects = group.map(({ subject }) => subject).join(', ');
  const fixes = [...new Set(group.map(({ fix }) => fix))].flatMap((fix) => fix?.split(' && ') ?? []);
  return [
    `${NAMES[severity].padEnd(7)}  ${check}  ${printable(subjects)}\n`,
    wrapped('seen  ', seen, room),
    ...(why === undefined ? [] : [wrapped('why   ', why, room)]),
    // Not wrapped: a command is there to be copied.
    ...fixes.map((fix, index) => `${INDENT}${index === 0 ? 'fix   ' : '      '}${printable(fix)}\n`),
  ].join('');
}

function wrapped(label: string, text: string, room: number): string {
  const width = Math.max(30, room - INDENT.length - label.length);
  const lines: string[] = [''];
  for (const word of printable(text).split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines
    .map((line, index) => `${INDENT}${index === 0 ? label : ' '.repeat(label.length)}${line}\n`)
    .join('');
}

function fineText(fine: readonly Finding[], width: number | undefined): string {
  return table(
    ['FINE', 'SUBJECT', 'SEEN'],
    fine.map(({ check, subject, seen }) => [check, subject, seen]),
    width,
  );
}

function summaryOf(findings: readonly Finding[], verbose: boolean): string {
  const count = (severity: Severity): number => findings.filter((one) => one.severity === severity).length;
  const counted = (severity: Severity, what: string): readonly string[] => {
    const number = count(severity);
    return number === 0 ? [] : [`${number} ${what}${number === 1 ? '' : 's'}`];
  };
  const bad = [...counted('error', 'error'), ...counted('warning', 'warning'), ...counted('info', 'note')];
  const hint = verbose ? '' : ' (-v shows them)';
  return `${bad.length === 0 ? 'nothing is wrong' : bad.join(', ')}; ${count('ok')} fine${hint}\n`;
}
