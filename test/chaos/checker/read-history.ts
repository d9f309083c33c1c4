// Reads what the processes of a run left in a folder: every *.jsonl, each line one event.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Event } from '../history.ts';

/** The events of all files, in the order in which they happened. Throws where a line is no event. */
export function readHistory(folder: string): Event[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  return names
    .toSorted()
    .flatMap((name) => readEvents(join(folder, name)))
    .toSorted((a, b) => a.atMs - b.atMs);
}

function readEvents(path: string): Event[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  // A process that was killed in the middle of its last line had not gone on, so what the line would have said has not
  // happened for anybody else. Every whole line ends with a line feed.
  lines.pop();
  return lines.map((line, index) => {
    try {
      // The recorders are ours and typed by the same file; a line that isn't an object with kind and atMs is refused.
      const event = JSON.parse(line) as Event;
      if (typeof event.kind !== 'string' || typeof event.atMs !== 'number') throw new Error('no event');
      return event;
    } catch (error) {
      throw new Error(`${path}:${index + 1} is no event: ${line.slice(0, 200)}`, { cause: error });
    }
  });
}
