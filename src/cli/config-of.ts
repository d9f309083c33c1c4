// The configuration of a server, for commands that look at its Redis themselves: what is wrong with it ends them.

import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { loadConfig } from '../config/load-config.ts';
import { type EXIT, Exit } from './exit.ts';
import type { Env } from './program-context.ts';

export function configOf(file: string | undefined, env: Env, code: (typeof EXIT)[keyof typeof EXIT]): Config {
  try {
    return loadConfig({ file, env });
  } catch (error) {
    if (error instanceof ConfigError) throw new Exit(code, error.message);
    throw error;
  }
}
