// What the supervisor gives to its server processes: its own configuration as text, so that they all work by the same
// one whatever the files say by then, and how the configuration of a replacement differs. The text has the secrets in
// it: it is for a pipe between two processes, never for a log or a file.

import { type Config, freeze } from './config.ts';
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

/**
 * The same, but that it doesn't believe `redis.bootstrap: new`: it may find a Redis that has just lost its data, beside
 * leases that the processes before it have granted and that are still held. Only those that begin a deployment may
 * believe that there can be none yet.
 */
export function replacementConfig(config: Config): Config {
  return config.redis ? { ...config, redis: { ...config.redis, bootstrap: 'wait' } } : config;
}
