// What a server process takes over from a dead one on the same machine, whose instance id it goes on with. The moments
// are on the machine's monotonic clock (clock.ts), which both can read.

export interface Inheritance {
  /** By when the former process was dead for certain: it has told nothing later. */
  readonly diedAtMs: number;
  /** From when the former one could tell anything; undefined: nobody knows. */
  readonly tellsFromMs: number | undefined;
}

/** A server process as its supervisor knows it. */
export interface Identity {
  readonly instanceId: string;
  /** The instance ids of all that the supervisor starts together, this one's too. */
  readonly group: readonly string[];
  readonly inheritance: Inheritance | undefined;
  /**
   * Called with undefined before this instance registers, and with the moment from which it may tell anything
   * afterwards. Resolves when the supervisor would hear of it even if this process died.
   */
  readonly onStanding: (tellsFromMs: number | undefined) => Promise<void>;
}
