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

/**
 * The data of `reign` have an entry since a script with this lease clock. `saidUs`: the entry's lease clock when that was
 * sent; what was noted since then stays.
 */
export function movesOn(
  entry: { reign: string; clockUs: number },
  saidUs: number,
  { reign, clockUs }: ToldAt,
): void {
  if (entry.clockUs !== saidUs || entry.reign === reign) return;
  entry.reign = reign;
  entry.clockUs = clockUs;
}

export function knows(cut: Cut, { reign, clockUs }: ToldAt): boolean {
  if (reign === '') return false;
  return reign === cut.ownReign || (reign === cut.fromReign && clockUs < cut.fromClockUs);
}
