// The figures of a run as curves: a curve joins the figures that measure the same for different numbers of something.
import type { Figure } from '../figures.ts';

export interface Curve {
  /** Made of its scenario's name and its own. */
  readonly key: string;
  readonly unit: string;
  /** Ordered by n, each n once. */
  readonly points: readonly CurvePoint[];
}

export interface CurvePoint {
  readonly n: number;
  readonly value: number;
  readonly floor?: number;
}

/** The curves with at least two points that can be drawn on logarithmic axes. */
export function curvesOf(figures: readonly Figure[]): readonly Curve[] {
  const drawable = figures.filter(({ curve, value }) => curve && curve.n > 0 && value > 0);
  const groups = Map.groupBy(drawable, ({ scenario, curve }) => `${scenario}: ${curve?.name}`);
  return [...groups]
    .map(([key, members]) => ({
      key,
      unit: members[0]?.unit ?? '',
      points: members
        .map(({ curve, value, floor }) => ({
          n: curve?.n ?? Number.NaN,
          value,
          ...(floor !== undefined && floor > 0 ? { floor } : {}),
        }))
        .toSorted((a, b) => a.n - b.n),
    }))
    .filter(({ points }) => points.length >= 2);
}
