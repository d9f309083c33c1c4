// Another checkout of the project, whose server is measured beside this one's. Owns what makes a folder one, and the
// sentences for folders that aren't.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

export interface Checkout {
  /** As it was named. */
  readonly name: string;
  /** 'unknown' for a copy without git history. */
  readonly commit: string;
  /** The script of its server and its arguments. */
  readonly server: readonly string[];
}

const PACKAGE = 'leasehold';
const MAIN = 'src/main.ts';

/** Throws a sentence that says what is missing, and what to do. */
export function checkoutAt(name: string): Checkout {
  const folder = resolve(name);
  const wrong = (what: string): Error => new Error(`--against ${name}: ${what}`);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw wrong('there is no such folder');
  const about = join(folder, 'package.json');
  const main = join(folder, MAIN);
  if (!existsSync(main) || packageAt(about)?.name !== PACKAGE) {
    throw wrong(`it is no checkout of Leasehold: a package.json of "${PACKAGE}" and ${MAIN} belong there`);
  }
  const missing = missingPackages(about);
  if (missing.length > 0) {
    throw wrong(
      `${missing[0]} is not installed there${also(missing.length - 1)}; run \`npm ci\` in that folder`,
    );
  }
  return { name, commit: commitOf(folder), server: [main, 'serve'] };
}

/** As `git describe` names the commit of a folder. */
export function commitOf(folder: string): string {
  try {
    const args = ['-C', folder, 'describe', '--always', '--dirty'];
    return execFileSync('git', args, { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return 'unknown'; // a copy without git history
  }
}

interface PackageFile {
  readonly name?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

function packageAt(file: string): PackageFile | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as PackageFile; // npm checks its form
  } catch {
    return undefined;
  }
}

/** Its dependencies that Node.js would not find from there. */
function missingPackages(file: string): readonly string[] {
  const folders = createRequire(file).resolve.paths('any-package') ?? [];
  return Object.keys(packageAt(file)?.dependencies ?? {}).filter(
    (dependency) => !folders.some((folder) => existsSync(join(folder, dependency, 'package.json'))),
  );
}

function also(others: number): string {
  return others === 0 ? '' : `, nor are ${others} more`;
}
