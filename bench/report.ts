// What `npm run bench -- --json` writes: the figures of a run, and the machine they were measured on.
import type { Figure } from './figures.ts';

export interface Report {
  readonly date: string;
  readonly commit: string;
  readonly machine: string;
  readonly node: string;
  readonly redis: string;
  readonly quick: boolean;
  readonly figures: readonly Figure[];
}
