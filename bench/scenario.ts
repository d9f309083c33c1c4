// What a scenario is: a name to choose it by, and a run that brings figures.
import type { Figure } from './figures.ts';
import type { Rig } from './rig.ts';

export interface Scope {
  /** Shorter rounds, and fewer. */
  readonly quick: boolean;
}

/** A figure before it knows its scenario. */
export type Found = Omit<Figure, 'scenario'>;

export interface Scenario {
  readonly name: string;
  readonly title: string;
  run(rig: Rig, scope: Scope): Promise<readonly Found[]>;
}
