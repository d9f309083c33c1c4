// The figures of a run as curves: those that tell the same for different numbers of something, put in order.
import type { Figure } from '../figures.ts';

export interface Curve {
  /** By its scenario and its own name. */
  readonly key: string;
  readonly unit: string;
  /** By n, each once. */
  readonly points: readonly CurvePoint[];
}

export interface CurvePoint {
  readonly n: number;
  readonly value: number;
  readonly floor?: number;
}

/** Those of at least two points that can be drawn on axes of logarithms. */
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
