// How the quarantine of each reign ended: early, by a roll call, or after its whole time. Taken from what the nodes
// held, which the runner looked at past the servers; it judges nothing.

import type { SeenRegistry } from '../history.ts';
import { grouped, type Run } from './recorded-run.ts';

export interface EarlyEnd {
  readonly reign: string;
  /** The node's data in the first look that shows that the quarantine was shortened. */
  readonly seen: SeenRegistry;
  /** When it was certainly over. */
  readonly overMs: number;
}

/** The quarantines that roll calls shortened, in the order in which that was seen. */
export function earlyEnds(run: Run): EarlyEnd[] {
  const ruled = run.of('seen-registry').filter(({ role }) => role === 'master');
  return [...grouped(ruled, ({ reign }) => reign)].flatMap(([reign, looks]) => {
    const seen = looks.find(({ quarantineUntil, fullUntil }) => quarantineUntil < fullUntil);
    // The second adoption of a reign's data may leave a part of the first one's quarantine.
    return seen ? [{ reign, seen, overMs: seen.atMs + Math.max(0, seen.quarantineUntil - seen.clock) }] : [];
  });
}

/** Without the first, which finds an empty Redis. */
export function quarantines(run: Run): number {
  return Math.max(0, run.reigns.length - 1);
}

/** The config epoch in a reign's name: it grows from one failover to the next. */
export function configEpochOf(reign: string): number {
  return Number(reign.split(':')[0]);
}
