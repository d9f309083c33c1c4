// What the command line gets from the process: its version, its environment, its arguments, and the server. Types only:
// every other file here may import it, and it imports none of them.

import type { ServeOptions } from '../config/load-config.ts';

export type Env = Readonly<Record<string, string | undefined>>;

export interface ProgramContext {
  readonly version: string;
  readonly env: Env;
  /** Runs the server. It is passed in because nothing here imports the server's code. */
  readonly serve: (options: ServeOptions) => Promise<void>;
}

/** The arguments of `leasehold`, split at "--". */
export interface Arguments {
  readonly own: readonly string[];
  /** What follows "--"; undefined without a "--". */
  readonly command: readonly string[] | undefined;
}
