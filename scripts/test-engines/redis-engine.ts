// What an engine is for test:engines: a program that serves as a Redis, and where it comes from.
import { checked } from '../../test/support/redis/find-redis.ts';

export interface Engine {
  /** As its own `--version` says: "Valkey 8.1.1". */
  readonly name: string;
  readonly executable: string;
  /** In words for the table. */
  readonly from: string;
}

/** Throws when it doesn't run on this machine, or is too old. */
export async function engineAt(executable: string, from: string): Promise<Engine> {
  const { engine, version } = await checked({ executable, env: process.env });
  return { name: `${engine} ${version}`, executable, from };
}
