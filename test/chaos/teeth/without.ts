// A preload that makes a process of Leasehold, or of a client, a mutant: `node --import …/without.ts src/main.ts` with
// the mutant's name in LEASEHOLD_TEST_WITHOUT. It edits the text of each module of the product before its types are
// stripped; without the variable it does nothing.

import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { mutated, sourceOf, VARIABLE } from './mutant.ts';
import { mutantNamed } from './mutants.ts';

const name = process.env[VARIABLE];
if (name) {
  const mutant = mutantNamed(name);
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const path = url.startsWith('file:') ? sourceOf(fileURLToPath(url)) : undefined;
      if (!path || loaded.source === undefined || loaded.source === null) return loaded;
      return { ...loaded, source: mutated(mutant, path, textOf(loaded.source)) };
    },
  });
}

function textOf(source: string | ArrayBuffer | NodeJS.TypedArray): string {
  return typeof source === 'string' ? source : new TextDecoder().decode(source);
}
