// Decides whether figures are worse than the recorded ones, and whether their budgets hold. Owns the rules; check.ts
// decides what to run, and how often.
import { budgeted, type Figure, isMet, median, medianOfRuns, steadyPart } from './figures.ts';

/** The figures of one measurement, by their keys. */
export type Recorded = Readonly<Record<string, RecordedFigure>>;

export interface RecordedFigure {
  readonly is: number;
  readonly better: 'less' | 'more';
}

export interface Regression {
  readonly key: string;
  readonly recorded: number;
  /** undefined if it was not measured. */
  readonly measured: number | undefined;
}

export interface MissedBudget {
  readonly key: string;
  readonly measured: number;
}

/** How much worse a figure can be, as a part of the recorded one. */
export const TOLERANCE = 0.15;

export function keyOf({ scenario, name }: Figure): string {
  return `${scenario}: ${name}`;
}

/** The medians of several runs of the same scenarios. */
export function recordOf(runs: readonly (readonly Figure[])[]): Recorded {
  const steady = (runs[0] ?? []).filter((figure) => steadyPart(figure) !== undefined);
  const entries = steady.map((figure): [string, RecordedFigure] => {
    const alike = runs.flatMap((run) => run.filter((other) => keyOf(other) === keyOf(figure)));
    const is = median(alike.map((other) => steadyPart(other) ?? Number.NaN));
    return [keyOf(figure), { is: Number(is.toPrecision(4)), better: figure.better }];
  });
  return Object.fromEntries(entries);
}

/** For each figure, its best run counts, because noise only makes it worse. */
export function regressions(recorded: Recorded, runs: readonly (readonly Figure[])[]): readonly Regression[] {
  return Object.entries(recorded).flatMap(([key, { is, better }]): Regression[] => {
    const measured = runs
      .flatMap((run) => run.filter((figure) => keyOf(figure) === key))
      .map((figure) => steadyPart(figure) ?? Number.NaN)
      .filter((value) => !Number.isNaN(value));
    if (measured.length === 0) return [{ key, recorded: is, measured: undefined }];
    const best = better === 'less' ? Math.min(...measured) : Math.max(...measured);
    const isWorse = better === 'less' ? best > is * (1 + TOLERANCE) : best < is * (1 - TOLERANCE);
    return isWorse ? [{ key, recorded: is, measured: best }] : [];
  });
}

/**
 * The budgets that the median of the runs doesn't meet, of figures that hold on another machine, and of those that have
 * to hold on any. A budget that the record doesn't meet either is known to be missed, and is left to `regressions`.
 */
export function missedBudgets(
  recorded: Recorded,
  runs: readonly (readonly Figure[])[],
): readonly MissedBudget[] {
  return medianOfRuns(runs).flatMap((figure): MissedBudget[] => {
    const { budget, steady } = figure;
    if (!budget || isMet(figure)) return [];
    if (budget.of !== steady) {
      return budget.isForAnyMachine ? [{ key: keyOf(figure), measured: budgeted(figure) }] : [];
    }
    const was = recorded[keyOf(figure)];
    if (was && isMet({ ...figure, [steady]: was.is }) === false) return [];
    return [{ key: keyOf(figure), measured: budgeted(figure) }];
  });
}
