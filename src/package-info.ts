// Where this package lies and which version it is, the same from src/ and from dist/src/.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface PackageInfo {
  readonly version: string;
  /** The folder with the .proto files, which reflection serves. */
  readonly protoFolder: string;
}

export function packageInfo(): PackageInfo {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json'))) {
    if (folder === dirname(folder)) throw new Error('the package.json of this package is missing');
    folder = dirname(folder);
  }
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return { version, protoFolder: join(folder, 'proto') };
}
