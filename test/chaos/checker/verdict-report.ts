// The verdict as text for people, and as rows for the tables of the documentation.

import type { Verdict } from './check-history.ts';
import type { Quantiles } from './run-figures.ts';
import { seconds } from './verdict.ts';

/** At most this many violations of one check are printed in full. */
const TOLD = 10;

/** The verdict as lines of text; moments count from `zeroMs`, the beginning of the run. */
export function report(verdict: Verdict, zeroMs = 0): string {
  const { violations, undecided, figures } = verdict;
  const { calls, counts } = figures;
  const told = new Map<string, number>();
  const broken = violations.flatMap(({ check, text, atMs }) => {
    const number = (told.get(check) ?? 0) + 1;
    told.set(check, number);
    return number > TOLD ? [] : [`  ${check}, at ${seconds(atMs - zeroMs)}: ${text}`];
  });
  const left = [...told].flatMap(([check, number]) =>
    number > TOLD ? [`  ${check}: ${number - TOLD} more`] : [],
  );
  const run = [`seed ${figures.seed ?? 'unknown'}`, figures.mode, figures.mutant].filter(
    (word) => word !== '',
  );
  return [
    `${run.join(', ')}: ${seconds(figures.lengthMs)}, ${figures.reigns} reigns`,
    `calls      ${calls.ok} ok, ${calls.failed} failed, ${calls.unknown} unknown`,
    ...Object.entries(figures.callsByRpc).map(
      ([rpc, { ok, failed, unknown }]) => `           ${rpc}: ${ok} ok, ${failed} failed, ${unknown} unknown`,
    ),
    `faults     ${tellCounts(figures.faults) || 'none'}`,
    `renewals   back after ${tellQuantiles(figures.recovery.renewals)}; away ${seconds(figures.withoutRenewalsMs)} in all`,
    `grants     back after ${tellQuantiles(figures.recovery.grants)}; away ${seconds(figures.withoutGrantsMs)} in all`,
    `counted    ${tellCounts(counts)}`,
    ...(undecided.length > 0 ? [`undecided  ${undecided.length}`] : []),
    ...undecided.slice(0, TOLD).map(({ check, text }) => `  ${check}: ${text}`),
    `violations ${violations.length}`,
    ...broken,
    ...left,
  ].join('\n');
}

function tellCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([what, count]) => `${count} ${what}`)
    .join(', ');
}

function tellQuantiles({ count, p50Ms, p99Ms, maxMs }: Quantiles): string {
  if (count === 0) return 'no new reign';
  return `${seconds(p50Ms)} (p50), ${seconds(p99Ms)} (p99), ${seconds(maxMs)} (largest of ${count})`;
}
