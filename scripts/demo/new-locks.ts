// Asks for a lock that nobody has ever held, some times a second, and gives it back: how the demo knows when new locks
// are granted. Each time it asks the next server.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallError } from '../../src/client/core/call-error.ts';
import { duration, type TestClient } from '../../test/support/test-instance.ts';

const EVERY_MS = 200;
const TTL_MS = 1_000;
const ANSWERS_WITHIN_MS = 1_500;

/** A grant, on the monotonic clock of this process. */
export interface NewLock {
  readonly askedMs: number;
  readonly grantedMs: number;
}

export class NewLocks {
  readonly grants: NewLock[] = [];
  #count = 0;

  async run(clients: readonly TestClient[], signal: AbortSignal): Promise<void> {
    const asked: Promise<void>[] = [];
    while (!signal.aborted) {
      const client = clients[this.#count % clients.length];
      // It doesn't wait for the answer: the next server may have one sooner.
      if (client) asked.push(this.#ask(client, `new/${++this.#count}`));
      await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
    await Promise.all(asked);
  }

  /** The first grant that was asked for after a moment. */
  firstAfter(momentMs: number): NewLock | undefined {
    const after = this.grants.filter(({ askedMs }) => askedMs > momentMs);
    return after.toSorted((one, other) => one.grantedMs - other.grantedMs)[0];
  }

  async #ask(client: TestClient, resource: string): Promise<void> {
    const leaseId = randomUUID();
    const askedMs = performance.now();
    try {
      await client.acquire(
        { resource, leaseId, owner: 'new-locks', ttl: duration(TTL_MS) },
        undefined,
        ANSWERS_WITHIN_MS,
      );
      this.grants.push({ askedMs, grantedMs: performance.now() });
      await client.release({ resource, leaseId });
    } catch (error) {
      if (!(error instanceof CallError)) throw error; // Refused, or unanswered: it is asked for another one soon.
    }
  }
}
