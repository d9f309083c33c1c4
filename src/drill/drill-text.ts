// The report of a drill as a text for people.

import { CALL_KINDS, type CallKind } from './canary-record.ts';
import { PHASES } from './drill-plan.ts';
import { type DrillReport, inSeconds, type Latency } from './drill-report.ts';

const NAME_COLUMNS = 24;
const CELL_GAP = '  ';
const MOST_LISTED = 10;

export function drillText(report: DrillReport): string {
  const { cause, formerPrimary, newPrimary, deployment, allowed } = report;
  const how = cause === 'trigger' ? 'rehearsed' : 'observed';
  const to = newPrimary === undefined ? 'no other primary was named' : `${formerPrimary} to ${newPrimary}`;
  return [
    `A failover of ${deployment}, ${how} ${report.startedAt.toISOString()}: ${to}\n`,
    '\n',
    row('time without renewals', inSeconds(report.withoutRenewalsMs), inSeconds(allowed.withoutRenewalsMs)),
    row('time without new grants', inSeconds(report.withoutGrantsMs), inSeconds(allowed.withoutGrantsMs)),
    row('  full quarantine', inSeconds(report.quarantineMs)),
    row('leases kept', `${report.leases.kept} of ${report.leases.held}`),
    row('operations kept', `${report.operations.kept} of ${report.operations.begun}${takenOver(report)}`),
    ...forgotten(report),
    row('lost', `${report.leases.lost + report.operations.lost}`, `${allowed.lost}`),
    row('violations', `${report.violations.length}`, '0'),
    row('  judged', `${report.grantsJudged} grants and their tokens, ${report.guardedWrites} guarded writes`),
    ...listed(report.losses.map(({ what, name, reason }) => `lost: ${what} ${name} (${reason})`)),
    ...listed(report.violations.map((violation) => `VIOLATION: ${violation}`)),
    '\n',
    latencyTable(report.latencies),
    '\n',
    `Timeline, from ${cause === 'trigger' ? 'the request for the failover' : 'the last renewal before it'} on\n\n`,
    timeline(report),
    '\n',
    report.passed ? 'Passed.\n' : `NOT passed: ${report.complaints.join('; ')}.\n`,
  ].join('');
}

function row(name: string, value: string, most?: string): string {
  const allowed = most === undefined ? '' : `   (${most} allowed)`;
  return `  ${name.padEnd(NAME_COLUMNS)} ${value}${allowed}\n`;
}

function forgotten({ operations }: DrillReport): string[] {
  if (operations.forgotten === 0) return [];
  return [row('  forgotten', `${operations.forgotten}, recorded while the failover ran (docs/drill.md)`)];
}

function takenOver({ operations }: DrillReport): string {
  return operations.takenOver === 0 ? '' : `, ${operations.takenOver} of them by another worker`;
}

function listed(lines: readonly string[]): string[] {
  const shown = lines.slice(0, MOST_LISTED).map((line) => `    ${line}\n`);
  const more = lines.length - shown.length;
  return more > 0 ? [...shown, `    and ${more} more (--json has all)\n`] : shown;
}

function latencyTable(latencies: readonly Latency[]): string {
  const cellsOf = (kind: CallKind): string[] =>
    PHASES.map((phase) => cell(latencies.find((one) => one.kind === kind && one.phase === phase)));
  const rows = [
    ['p50 / p99, ms', ...PHASES],
    ...CALL_KINDS.map((kind): string[] => [kind, ...cellsOf(kind)]),
  ];
  const widthOf = (column: number): number => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const widths = [NAME_COLUMNS, ...PHASES.map((_, index) => widthOf(index + 1))];
  return rows
    .map((row) => row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(CELL_GAP))
    .map((line) => `  ${line.trimEnd()}\n`)
    .join('');
}

function cell(latency: Latency | undefined): string {
  const { p50Ms, p99Ms, failed = 0 } = latency ?? {};
  const took = p50Ms === undefined || p99Ms === undefined ? '-' : `${shown(p50Ms)} / ${shown(p99Ms)}`;
  return failed === 0 ? took : `${took}, ${failed} failed`;
}

function shown(ms: number): string {
  return ms < 100 ? ms.toFixed(1) : ms.toFixed(0);
}

function timeline({ timeline: events }: DrillReport): string {
  const width = Math.max(0, ...events.map(({ who }) => who.length));
  return events
    .map(({ atMs, who, what }) => `  ${inSeconds(atMs).padStart(8)}  ${who.padEnd(width)}  ${what}\n`)
    .join('');
}
