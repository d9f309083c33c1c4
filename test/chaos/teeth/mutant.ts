// What a mutant is: the product with one mechanism taken out, as edits of its source. The product itself has no switch
// for it. Owns how edits are applied; mutants.ts lists the mutants, and without.ts (processes) and vitest.config.ts
// (tests) load a product that is one.

import { readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

/** The text `find` is in the file exactly once. */
export interface Edit {
  /** From the root of the project, with slashes. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  /** The mechanism that is taken out, in kebab-case. */
  readonly name: string;
  /** The rule that no longer holds, and the order of events that then goes wrong, in whole sentences. */
  readonly letsThrough: string;
  readonly edits: readonly Edit[];
}

export const ROOT = join(import.meta.dirname, '../../..');
/** The variable that names the mutant that a process or a run of tests is. */
export const VARIABLE = 'LEASEHOLD_TEST_WITHOUT';

const LUA_FOLDER = 'src/store/redis/lua/';
const LOADER = 'src/store/redis/scripts.ts';
const LOADER_READS = `readFileSync(new URL(\`./lua/\${file}\`, import.meta.url), 'utf8')`;

/** Throws where the text to find is not there exactly once: the product has changed, and the mutant has to follow. */
export function applied(text: string, { file, find, replace }: Edit): string {
  const parts = text.split(find);
  if (parts.length !== 2) throw new Error(`${file}: found ${parts.length - 1} times, not once: ${find}`);
  return parts.join(replace);
}

/** The text of a file of the product as the mutant has it. `path` is from the root, with slashes. */
export function mutated(mutant: Mutant, path: string, text: string): string {
  const edits = path === LOADER ? [...mutant.edits, ...withEditedScripts(mutant)] : mutant.edits;
  return edits.filter(({ file }) => file === path).reduce(applied, text);
}

/** The path of a module from the root; undefined if it is not one of the product's own sources. */
export function sourceOf(file: string): string | undefined {
  const path = relative(ROOT, file).split(sep).join('/');
  return path.startsWith('src/') && path.endsWith('.ts') ? path : undefined;
}

// The scripts are read when the loader runs, so the loader gets the edited ones as text.
function withEditedScripts(mutant: Mutant): readonly Edit[] {
  const files = new Set(mutant.edits.map(({ file }) => file).filter((file) => file.startsWith(LUA_FOLDER)));
  if (files.size === 0) return [];
  const texts = [...files].map((file) => {
    const text = mutated(mutant, file, readFileSync(join(ROOT, file), 'utf8'));
    return [file.slice(LUA_FOLDER.length), text] as const;
  });
  const known = `(${JSON.stringify(Object.fromEntries(texts))} as Record<string, string>)`;
  return [{ file: LOADER, find: LOADER_READS, replace: `${known}[file] ?? ${LOADER_READS}` }];
}
