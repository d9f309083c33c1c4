// What a Redis node has recorded of its reign, and which commands took long. Owns the connection, which is opened anew
// when it breaks: Sentinel ends those of a node whose role it changes.
import type { Redis } from 'ioredis';
import { keysFor } from '../src/store/redis/keys.ts';
import { eventually } from '../test/support/eventually.ts';
import type { RedisProcess } from '../test/support/redis/redis-process.ts';

const { meta: META } = keysFor('leasehold:');
/** From this on, a command is in the slow log of a node. Microseconds. */
export const SLOW_US = 500;
const SLOW_COMMANDS = 10_000;
/** Longer than newcomers wait. */
const OLD_WITHIN_MS = 60_000;

/** Moments are those of this process's clock, in milliseconds: how late it asks doesn't matter. */
export interface Recorded {
  readonly epoch: number;
  readonly adoptedMs: number;
  readonly quarantineEndsMs: number;
  /** Of the full quarantine, which operations wait for: later than the one before if that ended early. */
  readonly fullEndsMs: number;
  /** Before this, the registry is too young for a roll call. */
  readonly warmUntilMs: number;
}

/** Its id, when it was run, the microseconds that it took, and its arguments. */
export type SlowCommand = readonly [id: number, atSeconds: number, tookUs: number, args: readonly string[]];

export class NodeView {
  readonly #process: RedisProcess;
  #client: Redis;

  constructor(process: RedisProcess) {
    this.#process = process;
    this.#client = process.client();
  }

  async recorded(): Promise<Recorded> {
    const client = this.#open();
    const fields = ['epoch', 'adopted', 'quarantine_until', 'full_until', 'warm_until', 'clock', 'last'];
    const [texts, [seconds = 0, microseconds = 0]] = await Promise.all([
      client.hmget(META, ...fields),
      client.time(),
    ]);
    const nowMs = performance.now();
    const [epoch = 0, adopted = 0, until = 0, fullUntil = 0, warmUntil = 0, clock = 0, last = 0] =
      texts.map(Number);
    // The lease clock is recorded as the last script left it.
    const leaseNow = clock + Number(seconds) * 1e6 + Number(microseconds) - last;
    const at = (leaseClock: number): number => nowMs + (leaseClock - leaseNow) / 1_000;
    return {
      epoch,
      adoptedMs: at(adopted),
      quarantineEndsMs: at(until),
      fullEndsMs: at(fullUntil),
      warmUntilMs: at(warmUntil),
    };
  }

  async forgetSlowCommands(): Promise<void> {
    const client = this.#open();
    await client.config('SET', 'slowlog-log-slower-than', SLOW_US);
    await client.config('SET', 'slowlog-max-len', SLOW_COMMANDS);
    await client.slowlog('RESET');
  }

  async slowCommands(): Promise<readonly SlowCommand[]> {
    return (await this.#open().slowlog('GET', SLOW_COMMANDS)) as SlowCommand[]; // so its documentation says
  }

  close(): void {
    this.#client.disconnect();
  }

  #open(): Redis {
    if (this.#client.status === 'end') this.#client = this.#process.client();
    return this.#client;
  }
}

/**
 * Waits until the registry of instances is no longer young. Soon after the first start newcomers tell at once, and a
 * failover is a full quarantine.
 */
export async function untilRegistryIsOld(primary: RedisProcess): Promise<void> {
  const view = new NodeView(primary);
  try {
    const isOld = async () => (await view.recorded()).warmUntilMs < performance.now();
    await eventually(isOld, { what: 'the end of the first wait', withinMs: OLD_WITHIN_MS });
  } finally {
    view.close();
  }
}
