// Pings each of a few Redis nodes, one ping after the other, and remembers the longest wait: what a client sees of a
// script that holds Redis up. A node that doesn't answer any more is left alone.
import { Redis } from 'ioredis';
import { parseHostPort } from '../../src/domain/host-port.ts';
import type { Pings } from '../load-order.ts';
import { Latencies } from './latencies.ts';

export class Pinger {
  readonly #nodes: readonly Redis[];
  readonly #latencies = new Latencies();
  readonly #pinging: readonly Promise<void>[];
  #pings = 0;
  #longestMs = 0;
  #isOver = false;

  constructor(addresses: readonly string[]) {
    this.#nodes = addresses.map((address) => {
      const target = parseHostPort(address, 1);
      if (!target) throw new Error(`no address: ${address}`);
      const node = new Redis({ ...target, retryStrategy: () => null, maxRetriesPerRequest: 0 });
      node.on('error', () => undefined); // its ping reports it
      return node;
    });
    this.#pinging = this.#nodes.map((node) => this.#ping(node));
  }

  async close(): Promise<Pings> {
    this.#isOver = true;
    await Promise.all(this.#pinging);
    for (const node of this.#nodes) node.disconnect();
    return { pings: this.#pings, p50Ms: this.#latencies.percentile(50), longestMs: this.#longestMs };
  }

  async #ping(node: Redis): Promise<void> {
    while (!this.#isOver) {
      const sentAtMs = performance.now();
      try {
        await node.ping();
      } catch {
        return; // killed
      }
      const tookMs = performance.now() - sentAtMs;
      this.#pings++;
      this.#latencies.add(tookMs);
      this.#longestMs = Math.max(this.#longestMs, tookMs);
      // The sampling must not become a load of its own: a pause is found if it is longer than this.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}
