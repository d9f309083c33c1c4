// A seat of a run: the place of a server or of a client, in which one process follows another. Owns what the faults do
// to the present process; client-target.ts and server-target.ts say what it is and how it starts.
import type { NodeProcess } from './node-process.ts';

export abstract class ProcessSeat {
  /** The present process, or the last. */
  protected process: NodeProcess | undefined;
  readonly #endsWithinMs: number;

  protected constructor(endsWithinMs: number) {
    this.#endsWithinMs = endsWithinMs;
  }

  async kill(): Promise<void> {
    await this.process?.kill();
  }

  async pause(): Promise<void> {
    this.process?.pause();
  }

  async resume(): Promise<void> {
    this.process?.resume();
  }

  /** An orderly end: returns what was wrong with it, or undefined. */
  async end(): Promise<string | undefined> {
    return this.process?.end(this.#endsWithinMs);
  }
}
