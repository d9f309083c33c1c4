// A configuration as text, for a process of this program that shall work by the very same one, whatever its files say
// by then. The text has the secrets in it: it is for a pipe between two processes, never for a log or a file.

import type { Config } from './config.ts';
import { freeze } from './freeze.ts';
import { Secret } from './secret.ts';

/** No key of the configuration begins with a dollar. */
const SECRET = '$secret';

export function packConfig(config: Config): string {
  return JSON.stringify(config, function (this: Readonly<Record<string, unknown>>, name, value) {
    // The value has been through toJSON already, which hides what is secret.
    const whole = this[name];
    return whole instanceof Secret ? { [SECRET]: whole.reveal() } : value;
  });
}

/** `text` is what `packConfig` has made, in the same version of the program. */
export function unpackConfig(text: string): Config {
  const config: Config = JSON.parse(text, (_name, value) =>
    typeof value === 'object' && value !== null && typeof value[SECRET] === 'string'
      ? new Secret(value[SECRET])
      : value,
  );
  return freeze(config);
}
