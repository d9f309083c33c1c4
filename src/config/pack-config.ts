// What the supervisor gives to its server processes: its own configuration as text, so that they all work by the same
// one whatever the files say by then, and how the configuration of a replacement differs. The text has the secrets in
// it: it is for a pipe between two processes, never for a log or a file.

import { type Config, freeze } from './config.ts';
import { Secret } from './secret.ts';

/** No key of the configuration begins with a dollar. */
const SECRET = '$secret';

export function packConfig(config: Config): string {
  return JSON.stringify(config, function (this: Readonly<Record<string, unknown>>, name, value) {
    // `value` is what toJSON returned, and a secret hides itself there.
    const whole = this[name];
    return whole instanceof Secret ? { [SECRET]: whole.reveal() } : value;
  });
}

/** @param text from `packConfig` of the same version of the program. */
export function unpackConfig(text: string): Config {
  const config: Config = JSON.parse(text, (_name, value) =>
    typeof value === 'object' && value !== null && typeof value[SECRET] === 'string'
      ? new Secret(value[SECRET])
      : value,
  );
  return freeze(config);
}

/**
 * The configuration of a server process that replaces one that has ended. It is the same, except that it does not take
 * `redis.bootstrap: new` at its word: the process may find a Redis that has just lost its data while clients still hold
 * leases that earlier processes granted. Only the first processes of a deployment know that no lease can exist yet.
 */
export function replacementConfig(config: Config): Config {
  return config.redis ? { ...config, redis: { ...config.redis, bootstrap: 'wait' } } : config;
}
