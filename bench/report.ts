// What `npm run bench -- --json` writes: the figures of a run, and the machine they were measured on.
import type { Figure } from './figures.ts';

export interface Report {
  readonly date: string;
  readonly commit: string;
  readonly machine: string;
  readonly node: string;
  readonly redis: string;
  readonly quick: boolean;
  /** Each figure is the median of so many runs; of one if it is left out. */
  readonly runs?: number;
  /** The commit of the other checkout, which is then in the place of the floor. */
  readonly against?: string;
  readonly figures: readonly Figure[];
}
