// The commands in docs/runbooks.md: those that begin a line of a block of shell or a piece of code in the text. For the
// tests that hold them to the program and to a real Redis.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const RUNBOOKS = readFileSync(join(import.meta.dirname, '../../docs/runbooks.md'), 'utf8');

/** Each command as its words, without what the shell does with it: `leasehold`, `locks`, `top`. */
export function commandsIn(page: string, names: readonly string[]): readonly (readonly string[])[] {
  const blocks = [...page.matchAll(/^ *```sh\n(.*?)^ *```/gms)].flatMap(([, block = '']) =>
    block.split('\n'),
  );
  const prose = page.replaceAll(/^ *```.*?^ *```/gms, '');
  const pieces = [...prose.matchAll(/`([^`]+)`/g)].map(([, piece = '']) => piece.replaceAll(/\s+/g, ' '));
  return [...blocks, ...pieces]
    .map((line) => wordsOf(line.trim()))
    .filter(([name = '', second]) => names.includes(name) && second !== undefined && second !== '()');
}

/** Split as a shell does it, up to a comment, a pipe or the next command. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (const [, quoted, bare] of line.matchAll(/"([^"]*)"|(\S+)/g)) {
    if (quoted === undefined && bare !== undefined && /^(#|\||&&|;)/.test(bare)) break;
    words.push(quoted ?? bare ?? '');
  }
  return words;
}
