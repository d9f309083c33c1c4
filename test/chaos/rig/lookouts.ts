// Which locks are held, as the servers say while a run lasts: each server is asked about once a second for all locks,
// past the network. The checker decides what that says about the promises.
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from '../history.ts';
import type { RunHistory } from './run-history.ts';
import type { ServerTarget } from './server-target.ts';

const EVERY_MS = 1_000;

export class Lookouts {
  readonly #history: RunHistory;
  readonly #over = new AbortController();
  readonly #loops: Promise<unknown>;

  constructor(servers: readonly ServerTarget[], history: RunHistory) {
    this.#history = history;
    this.#loops = Promise.all(servers.map((server) => this.#look(server)));
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#loops;
  }

  async #look(server: ServerTarget): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      const askedMs = nowMs();
      const locks = await server.locks();
      const atMs = nowMs();
      if (locks !== undefined) {
        const holders = locks.reduce((sum, lock) => sum + lock.holders.length, 0);
        const metrics = await server.metrics().catch(() => undefined);
        const putBack = metrics?.get('leasehold_roll_call_leases_put_back_total') ?? 0;
        this.#history.write({ kind: 'looked', atMs, askedMs, server: server.name, holders, putBack });
      }
      for (const { resource, holders } of locks ?? []) {
        for (const { leaseIdHash: leaseHash, fencingToken } of holders) {
          const seen = { server: server.name, resource, leaseHash, token: String(fencingToken) };
          this.#history.write({ kind: 'seen-held', atMs, askedMs, ...seen });
        }
      }
      await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
