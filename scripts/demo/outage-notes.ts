// Sums up the UNAVAILABLE answers that callers get: it prints a line when a reason occurs for the first time and a line
// with the counts when the outage is over, in place of a line per call.
import type { Timeline } from './demo-timeline.ts';

interface Note {
  count: number;
  readonly workers: Set<string>;
}

export class OutageNotes {
  readonly #timeline: Timeline;
  readonly #notes = new Map<string, Note>();

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  heard(worker: string, rpc: string, reason: string): void {
    const what = `${rpc}: UNAVAILABLE / ${reason}`;
    const note = this.#notes.get(what) ?? { count: 0, workers: new Set() };
    if (note.count === 0) this.#timeline.say(worker, `${what}, tries again`, 'yellow');
    note.count++;
    note.workers.add(worker);
    this.#notes.set(what, note);
  }

  /** Prints how often each answer came since the last time, and forgets them. */
  sumUp(): void {
    for (const [what, { count, workers }] of this.#notes) {
      const times = count === 1 ? 'once' : `${count} times`;
      const callers = workers.size === 1 ? [...workers].join() : `${workers.size} workers`;
      this.#timeline.say('callers', `${what}, ${times} in all, by ${callers}`, 'dim');
    }
    this.#notes.clear();
  }
}
