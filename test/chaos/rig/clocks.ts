// The wall clocks of the Redis nodes and Sentinels, each of which can be stepped while it runs. Owns the library that
// is preloaded into them and a file for each with its offset. Without a C compiler, or with Redis in containers, there
// are no such clocks, and `missing` says why.
import { mkdirSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { findRedis } from '../../support/redis/find-redis.ts';
import { runCommand } from '../../support/redis/run-program.ts';

const SOURCE = join(import.meta.dirname, 'clock-shim.c');
const COMPILES_WITHIN_MS = 30_000;

export class Clocks {
  /** Why no clock can be stepped; undefined where clocks can be. */
  readonly missing: string | undefined;
  readonly #folder: string;
  readonly #library: string;
  readonly #offsetsMs = new Map<string, number>();

  private constructor(folder: string, library: string, missing: string | undefined) {
    this.#folder = folder;
    this.#library = library;
    this.missing = missing;
  }

  static async build(folder: string): Promise<Clocks> {
    mkdirSync(folder, { recursive: true });
    const library = join(folder, 'clock-shim.so');
    if ((await findRedis()).mode === 'docker') return new Clocks(folder, library, 'Redis runs in containers');
    try {
      const args = ['-shared', '-fPIC', '-O2', '-Wall', '-o', library, SOURCE];
      await runCommand('cc', args, { timeoutMs: COMPILES_WITHIN_MS });
      return new Clocks(folder, library, undefined);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return new Clocks(folder, library, `no C compiler: ${why}`);
    }
  }

  /** The environment of the process whose clock this is. */
  environmentOf(name: string): Readonly<Record<string, string>> {
    if (this.missing !== undefined) return {};
    writeFileSync(this.#fileOf(name), bytesOf(0));
    this.#offsetsMs.set(name, 0);
    return { LD_PRELOAD: this.#library, LEASEHOLD_TEST_CLOCK: this.#fileOf(name) };
  }

  /** Moves these clocks by this much more than they were moved before. A negative number moves them back. */
  async step(names: readonly string[], byMs: number): Promise<void> {
    if (this.missing !== undefined) throw new Error(`clocks cannot be stepped: ${this.missing}`);
    // All files are opened first, so that the clocks step together.
    const files = await Promise.all(names.map((name) => open(this.#fileOf(name), 'r+')));
    const writes = names.map((name, index) => {
      const offsetMs = (this.#offsetsMs.get(name) ?? 0) + byMs;
      this.#offsetsMs.set(name, offsetMs);
      return files[index]?.write(bytesOf(offsetMs), 0, 8, 0);
    });
    await Promise.all(writes);
    await Promise.all(files.map((file) => file.close()));
  }

  #fileOf(name: string): string {
    return join(this.#folder, `${name}.clock`);
  }
}

function bytesOf(offsetMs: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(Math.round(offsetMs * 1_000)));
  return bytes;
}
