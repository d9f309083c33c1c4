// What a scenario is: a name to choose it by, and a run that yields figures.
import type { Figure } from './figures.ts';
import type { Rig } from './rig.ts';

export interface Scope {
  /** Fewer and shorter rounds. */
  readonly quick: boolean;
}

/** A figure without the name of its scenario. */
export type Found = Omit<Figure, 'scenario'>;

export interface Scenario {
  readonly name: string;
  readonly title: string;
  run(rig: Rig, scope: Scope): Promise<readonly Found[]>;
}
