// Makes the second form of what users import, for programs that load it as CommonJS: in a folder of its own (cjs),
// with the same modules and declarations below it. Node.js itself takes the ES modules from `require` too (exports
// say so with "module-sync"), so that one process never has two copies. This form is for Jest, for bundlers that make
// CommonJS, and for TypeScript with "module": "node16".
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { transformSync } from 'esbuild';
import { moduleClosure } from './module-closure.ts';

export const COMMONJS = 'cjs';
const TWIN = '__twin_of_this_module';

/** Adds the folder to a build. `entries` as for `moduleClosure`. */
export function makeCommonJs(folder: string, entries: readonly string[]): void {
  const out = join(folder, COMMONJS);
  for (const file of moduleClosure(folder, entries).files) {
    const text = readFileSync(join(folder, file), 'utf8');
    mkdirSync(dirname(join(out, file)), { recursive: true });
    writeFileSync(join(out, file), file.endsWith('.js') ? commonJs(text, file) : text);
  }
  // What Node.js, TypeScript and bundlers read off the nearest package.json.
  writeFileSync(join(out, 'package.json'), '{ "type": "commonjs" }\n');
}

function commonJs(text: string, file: string): string {
  if (/import\.meta\.(?!url\b)/.test(text))
    throw new Error(`${file}: of import.meta, only url works in CommonJS and in Jest 29`);
  // Files that a module reads lie beside its ES form, so that is where it believes to be.
  const twin = join(relative(dirname(join(COMMONJS, file)), '.'), file);
  const banner = `const ${TWIN} = require('node:url').pathToFileURL(require('node:path').join(__dirname, '${twin}'));`;
  const { code } = transformSync(text, {
    format: 'cjs',
    platform: 'node',
    target: 'node22',
    define: { 'import.meta.url': `${TWIN}.href` },
    ...(text.includes('import.meta.url') ? { banner } : {}),
  });
  return code;
}
