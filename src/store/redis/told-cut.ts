// Where the data of a reign come from, and which of the things that were told they know. Owns this one question; what
// was told is in told-memory.ts and told-endings.ts.

/** What was told under `fromReign`, below this lease clock, these data know. */
export interface Cut {
  readonly fromReign: string;
  readonly fromClockUs: number;
  /** What was told under this reign they know too; '' for none. */
  readonly ownReign: string;
}

/** When something was told: under which reign, and at which lease clock of its script. */
export interface ToldAt {
  /** '': under several. */
  readonly reign: string;
  readonly clockUs: number;
}

export function knows(cut: Cut, { reign, clockUs }: ToldAt): boolean {
  if (reign === '') return false;
  return reign === cut.ownReign || (reign === cut.fromReign && clockUs < cut.fromClockUs);
}
