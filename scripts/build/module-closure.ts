// Which files of a build a module needs: itself and all that it imports, as code and as declarations. Owns how
// imports are found in what the compiler has written.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const IMPORTS = [
  /^(?:import|export)\b[^'"]*?\bfrom\s*['"]([^'"]+)['"]/gm,
  /^import\s*['"]([^'"]+)['"]/gm,
  /\bimport\(\s*['"]([^'"]+)['"]/g,
];

export interface Closure {
  /** The .js and .d.ts files, relative to the folder. */
  readonly files: ReadonlySet<string>;
  /** The packages that the code imports, by their names; not those that only declarations name. */
  readonly packages: ReadonlySet<string>;
}

/** `entries` are modules below `folder`, such as `src/client/client.js`. */
export function moduleClosure(folder: string, entries: readonly string[]): Closure {
  const files = new Set<string>();
  const packages = new Set<string>();
  const pending = entries.flatMap(withDeclarations);
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (files.has(file) || !existsSync(join(folder, file))) continue;
    files.add(file);
    const text = readFileSync(join(folder, file), 'utf8');
    for (const [, name = ''] of IMPORTS.flatMap((pattern) => [...text.matchAll(pattern)])) {
      if (name.startsWith('.')) {
        const imported = join(dirname(file), name);
        // A type alone is no reason to ship code.
        pending.push(...(file.endsWith('.js') ? withDeclarations(imported) : [declarations(imported)]));
      } else if (file.endsWith('.js') && !name.startsWith('node:')) packages.add(packageOf(name));
    }
  }
  return { files, packages };
}

const declarations = (module: string): string => module.replace(/\.js$/, '.d.ts');
const withDeclarations = (module: string): string[] => [module, declarations(module)];

/** `@grpc/grpc-js` of `@grpc/grpc-js/build/x`. */
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
