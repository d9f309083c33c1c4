// Pings each of a few Redis nodes, one ping after the other, and remembers the longest wait of each: what a client sees
// of a script that holds Redis up. A connection that ends is opened anew, because Sentinel ends all of a node that it
// promotes, just before the instances join there.
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { parseHostPort } from '../../src/domain/host-port.ts';
import type { Pings } from '../load-order.ts';

/** The sampling must not become a load of its own: a pause is found if it is longer than this. */
const PAUSE_MS = 2;

export class Pinger {
  readonly #longestMs: Record<string, number> = {};
  readonly #pinging: readonly Promise<void>[];
  #isOver = false;

  constructor(addresses: readonly string[]) {
    this.#pinging = addresses.map((address) => this.#ping(address));
  }

  async close(): Promise<Pings> {
    this.#isOver = true;
    await Promise.all(this.#pinging);
    return { longestMs: this.#longestMs };
  }

  async #ping(address: string): Promise<void> {
    let node = connection(address);
    while (!this.#isOver) {
      const sentAtMs = performance.now();
      try {
        await node.ping();
        const tookMs = performance.now() - sentAtMs;
        this.#longestMs[address] = Math.max(this.#longestMs[address] ?? 0, tookMs);
      } catch {
        node.disconnect();
        node = connection(address);
      }
      await sleep(PAUSE_MS);
    }
    node.disconnect();
  }
}

/** Its first ping waits until it is open: a node that doesn't accept it at once is seen as well. */
function connection(address: string): Redis {
  const target = parseHostPort(address, 1);
  if (!target) throw new Error(`no address: ${address}`);
  const node = new Redis({
    ...target,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
  });
  node.on('error', () => undefined); // its ping reports it
  return node;
}
