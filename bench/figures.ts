// What a scenario finds: figures, each with its floor and its budget. Owns what a budget limits, whether it is met, and
// which part of a figure holds on another machine.

export interface Budget {
  /** The `ratio` to the floor, the `excess` over it, or the figure itself. */
  readonly of: 'value' | 'ratio' | 'excess';
  readonly atMost?: number;
  readonly atLeast?: number;
  /** It has to hold wherever it is measured, even if the figure itself depends on the machine. */
  readonly isForAnyMachine?: boolean;
}

/** Where a figure lies on a curve: how it grows with the number of something. */
export interface CurvePoint {
  /** The same for all points of one curve, and unique within its scenario. */
  readonly name: string;
  readonly n: number;
}

export interface Spread {
  readonly least: number;
  readonly most: number;
}

export interface Figure {
  readonly scenario: string;
  /** Unique within its scenario. */
  readonly name: string;
  /** undefined if it depends on no number. */
  readonly curve?: CurvePoint;
  readonly unit: string;
  readonly value: number;
  /** The same measurement of the bare parts, in the same run and in turn with it. */
  readonly floor?: number;
  /** The median of the ratios of the pairs, not the ratio of the medians. */
  readonly ratio?: number;
  /** The least and the most of those ratios; of several runs, of their ratios. */
  readonly spread?: Spread;
  readonly budget?: Budget;
  /** What is compared with the recorded runs; undefined if it depends on the machine. */
  readonly steady?: 'value' | 'ratio';
  readonly better: 'less' | 'more';
}

/** What the budget limits; NaN if the figure has no such part. */
export function budgeted({ value, floor, ratio, budget }: Figure): number {
  if (budget?.of === 'ratio') return ratio ?? Number.NaN;
  return budget?.of === 'excess' ? value - (floor ?? Number.NaN) : value;
}

/** undefined if the figure has no budget. */
export function isMet(figure: Figure): boolean | undefined {
  const { budget } = figure;
  if (!budget) return undefined;
  const measured = budgeted(figure);
  // Each comparison is written so that a missing figure (NaN) never meets its budget.
  return (
    measured <= (budget.atMost ?? Number.POSITIVE_INFINITY) &&
    measured >= (budget.atLeast ?? Number.NEGATIVE_INFINITY)
  );
}

/** What also holds on another machine: a ratio, a count or a size; undefined if nothing does. */
export function steadyPart({ value, ratio, steady }: Figure): number | undefined {
  if (steady === undefined) return undefined;
  return steady === 'ratio' ? ratio : value;
}

/** The name of a figure for a number of something, and its place on the curve over that number. */
export function ofMany(n: number, what: string, figure: string): Required<Pick<Figure, 'name' | 'curve'>> {
  return { name: `${n} ${what}: ${figure}`, curve: { name: `${what}: ${figure}`, n } };
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 ? high : ((sorted[middle - 1] ?? high) + high) / 2;
}

export function spreadOf(numbers: readonly number[]): Spread {
  return { least: Math.min(...numbers), most: Math.max(...numbers) };
}

export interface Paired {
  readonly value: number;
  readonly floor: number;
  readonly ratio: number;
  readonly spread: Spread;
}

/** From samples taken in turn: the medians of both, and the median and the spread of the ratios of the pairs. */
export function paired<Sample>(
  pairs: readonly { readonly ours: Sample; readonly floor: Sample }[],
  of: (sample: Sample) => number,
): Paired {
  const ratios = pairs.map(({ ours, floor }) => of(ours) / of(floor));
  return {
    value: median(pairs.map(({ ours }) => of(ours))),
    floor: median(pairs.map(({ floor }) => of(floor))),
    ratio: median(ratios),
    spread: spreadOf(ratios),
  };
}

/**
 * One figure for each of several runs of the same scenario: the medians of its value, its floor and its ratio, which
 * its budget then limits. A figure that a run lacks counts with the runs that have it.
 */
export function medianOfRuns(runs: readonly (readonly Figure[])[]): readonly Figure[] {
  const [only] = runs;
  if (only && runs.length === 1) return only;
  const byName = Map.groupBy(runs.flat(), ({ scenario, name }) => `${scenario}: ${name}`);
  return [...byName.values()].map((alike) => {
    const [first] = alike;
    if (!first) throw new Error('a group is never empty');
    const { floor: _, ratio: __, spread: ___, ...rest } = first;
    const floors = alike.flatMap(({ floor }) => (floor === undefined ? [] : [floor]));
    const ratios = alike.flatMap(({ ratio }) => (ratio === undefined ? [] : [ratio]));
    return {
      ...rest,
      value: median(alike.map(({ value }) => value)),
      ...(floors.length > 0 ? { floor: median(floors) } : {}),
      ...(ratios.length > 0 ? { ratio: median(ratios), spread: spreadOf(ratios) } : {}),
    };
  });
}
