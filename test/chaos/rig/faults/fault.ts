// What a fault is to the rig: a name, how long it lasts, and how it is aimed, struck and healed. Each family has a file
// of its own beside this one; catalogue.ts lists them.

import type { Rig } from '../chaos-rig.ts';
import type { Party } from '../network.ts';
import type { SeededRandom } from '../random.ts';

/** What a plan says beyond the name: which of several, by how much, in which direction. */
export type FaultOptions = Readonly<Record<string, number | string | boolean>>;

export interface Aimed {
  /**
   * The targets, for the record. The checker counts the nodes among them, since a loss is explained where a node that
   * had acknowledged was struck as well: ALL_NODES stands for a fault that takes data from none.
   */
  readonly targets: readonly { readonly name: string }[];
  /**
   * The parties that belong to this fault until it is healed, since a second fault would undo the first. None when not
   * given.
   */
  readonly taken?: readonly Party[];
  readonly detail: string;
  /** Does everything that the fault does, some of it after a while; returns when it is done. */
  strike(): Promise<void>;
  /** Undoes it, whether the strike was completed or not. */
  heal(): Promise<void>;
}

export interface FaultKind {
  readonly name: string;
  /**
   * `failover`: it replaces the primary or takes its replicas away. Only one of these runs at a time, or the run would
   * only ever be down. `aside`: it goes on beside them.
   */
  readonly lane: 'failover' | 'aside';
  /** What the checker calls it, where it is one of those. */
  readonly as?: 'kill' | 'pause';
  /** How long it lasts in a random plan, at least and at most. */
  readonly lastsMs: readonly [number, number];
  /** Whether it may lose acknowledged writes when this many acknowledgements are asked for. */
  readonly mayLose?: (minAcks: number) => boolean;
  /** It needs clocks that can be stepped. */
  readonly clocks?: boolean;
  /** The stated bound that it breaks. Such a fault comes only where a plan names it. */
  readonly beyondBounds?: string;
  /** A server dies, or is away for long: for a while, no roll call ends a quarantine. */
  readonly endsServer?: boolean;
  /** How often a random plan draws it for each time that it draws another; once when not given. */
  readonly weight?: number;
  /** It has one purpose, and comes only where a plan names it. */
  readonly onlyPlanned?: boolean;
  /** Set where it may stay for a whole run in liveness mode; says whether the service can go on meanwhile. */
  readonly stays?: { readonly mayProgress: boolean };
  /** What a random plan adds to the name. */
  readonly choose?: (random: SeededRandom) => FaultOptions;
  /** Finds out which parties have the roles now. Throws NotNow where it makes no sense now. */
  readonly aim: (rig: Rig, options: FaultOptions) => Promise<Aimed>;
}

/** With fewer acknowledgements than replicas, Sentinel may promote a replica that had not acknowledged. */
export const unlessAllMust = (minAcks: number): boolean => minAcks < 2;

/** The targets of a fault that happens to all nodes and takes data from none. */
export const ALL_NODES = [{ name: 'all-nodes' }] as const;

export const nothing = async (): Promise<void> => undefined;

/** The choice number `options.which` of a list, of any length. */
export function chosen<T>(list: readonly T[], options: FaultOptions): T {
  const one = list[Number(options.which ?? 0) % list.length];
  if (one === undefined) throw new Error('there is nobody to choose from');
  return one;
}

/** For faults that strike one of several: which of them. */
export function anyOne(random: SeededRandom): FaultOptions {
  return { which: random.between(0, 9) };
}
