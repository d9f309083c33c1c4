// What the runner itself records. Owns its file; a line is on its way to the disk before the call returns, as with the
// clients.
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Event } from '../history.ts';

export class RunHistory {
  readonly file: string;
  readonly #descriptor: number;

  constructor(file: string) {
    this.file = file;
    this.#descriptor = openSync(file, 'a');
  }

  write(event: Event): void {
    writeSync(this.#descriptor, `${JSON.stringify(event)}\n`);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
