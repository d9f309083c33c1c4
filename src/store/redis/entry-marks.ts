// By what an instance recognises its entry in the registry as its own: a mark that it writes anew with each tick. Owns
// their form and what was sent; roll-call.ts says when they are looked at, and the scripts carry them.
//
// Ids are random, so two processes have one only if a running process was copied with its memory, or by a defect. The
// registry can't tell them apart by anything that doesn't change: a machine is set back to a snapshot; the process
// there has the id, and answers the roll call without what was told since the snapshot. So a mark counts, and holds
// something random.

/** So many are remembered; of older ones only the run counts. */
const REMEMBERED = 1_000;
/** A tick accepts so many of those that were sent last: their replies may be lost. */
const RECENT = 8;

export class EntryMarks {
  readonly #run: string;
  readonly #random: () => number;
  readonly #sent: string[] = [];
  #count = 0;

  /** `run`: an id of this run of the process; letters and digits. */
  constructor(run: string, random: () => number) {
    this.#run = run;
    this.#random = random;
  }

  /** A new one, which is sent now. */
  next(): string {
    this.#count++;
    const mark = `${this.#run}.${this.#count}.${Math.floor(this.#random() * 2 ** 32).toString(36)}`;
    this.#sent.push(mark);
    if (this.#sent.length > REMEMBERED) this.#sent.shift();
    return mark;
  }

  get recent(): readonly string[] {
    return this.#sent.slice(-RECENT);
  }

  /** Whether this process wrote what an entry bears. Data that lag behind have an older one. */
  isOwn(found: string): boolean {
    const [run = '', count = ''] = found.split('.');
    const isOlder = Number(count) <= this.#count - this.#sent.length;
    return run === this.#run && (isOlder || this.#sent.includes(found));
  }
}
