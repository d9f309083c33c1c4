// A seat for a client of a run: its process, and the next one after it was killed. Owns the names: each process has its
// own, since its calls are told apart by it. What a client does is in client/.
import { join } from 'node:path';
import type { Role } from '../client/roles.ts';
import type { Party } from './network.ts';
import { NodeProcess } from './node-process.ts';
import { ProcessSeat } from './process-seat.ts';

const ROOT = join(import.meta.dirname, '../../..');
const SCRIPT = join(ROOT, 'test/chaos/client/chaos-client-main.ts');
const SOURCE_ADDRESS_MODULE = join(ROOT, 'test/support/redis/source-address.ts');
/** How long a client may take to give everything back and to close. */
const ENDS_WITHIN_MS = 15_000;

/** The settings that all clients share; the seat adds the rest. */
export interface ClientTerms {
  readonly servers: readonly string[];
  readonly guardPath: string;
  readonly maxTtlMs: number;
  readonly roles?: readonly Role[];
}

export interface ClientOptions {
  readonly name: string;
  readonly sourceAddress: string;
  readonly seed: number;
  readonly terms: ClientTerms;
  readonly environment: Readonly<Record<string, string>>;
  readonly preload: readonly string[];
  readonly folder: string;
  readonly onCrash: (what: string) => void;
}

export class ClientTarget extends ProcessSeat implements Party {
  readonly sourceAddress: string;
  readonly proxy = undefined;
  readonly #options: ClientOptions;
  #generation = 0;

  constructor(options: ClientOptions) {
    super(ENDS_WITHIN_MS);
    this.sourceAddress = options.sourceAddress;
    this.#options = options;
  }

  /** The name of the present process. */
  get name(): string {
    const { name } = this.#options;
    return this.#generation > 1 ? `life-${this.#generation}-${name}` : name;
  }

  async start(): Promise<void> {
    this.#generation += 1;
    const { seed, terms, folder, sourceAddress, preload, environment, onCrash } = this.#options;
    const { name } = this;
    const settings = {
      ...terms,
      name,
      historyFile: join(folder, `${name}.jsonl`),
      seed: seed * 1_000 + this.#generation,
    };
    this.process = NodeProcess.start({
      name,
      script: SCRIPT,
      args: [JSON.stringify(settings)],
      preload: [SOURCE_ADDRESS_MODULE, ...preload],
      environment: { ...environment, LEASEHOLD_TEST_SOURCE_ADDRESS: sourceAddress },
      logFile: join(folder, `${name}.log`),
      onCrash,
    });
  }
}
