// Instances of a deployment with roll calls, as stores without a server around them, for tests of what operators do to
// them. Owns how a test asks one for a lease in a word, and how it waits; what is done to Redis is the test's.
import { randomUUID } from 'node:crypto';
import type { HostPort } from '../../src/domain/host-port.ts';
import type { Lease, LeaseSpec } from '../../src/domain/lock.ts';
import { RedisStore, type RedisStoreOptions } from '../../src/store/redis/redis-store.ts';
import type { StoreStatus } from '../../src/store/store.ts';
import { eventually } from './eventually.ts';
import { inTime, leaseSpec, storeOptions } from './store-harness.ts';
import type { AtEnd } from './watched-redis.ts';

/** Small, so that a quarantine is short: a newcomer waits 6.5 s, and data older than 4 s are not fresh. */
export const MAX_TTL_MS = 4_000;
const SOON_MS = 15_000;

let calls = 0;

export class Member {
  readonly store: RedisStore;
  readonly id: string;
  readonly events: string[] = [];
  readonly #maxTtlMs: number;
  #isClosed = false;

  constructor(options: RedisStoreOptions) {
    this.store = new RedisStore({
      ...options,
      observer: { ...options.observer, event: (_level, message) => void this.events.push(message) },
    });
    this.id = options.instanceId;
    this.#maxTtlMs = options.maxTtlMs;
  }

  static start(
    atEnd: AtEnd,
    address: HostPort,
    keyPrefix: string,
    overrides: Partial<RedisStoreOptions> = {},
  ): Member {
    const given = { instanceId: randomUUID().replaceAll('-', ''), maxTtlMs: MAX_TTL_MS, rollCall: true };
    const member = new Member(storeOptions(address, { keyPrefix, ...given, ...overrides }));
    atEnd(() => member.close());
    return member;
  }

  get status(): StoreStatus {
    return this.store.status();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.store.close();
  }

  usable(withinMs = SOON_MS): Promise<boolean> {
    return eventually(() => this.status.usable, { what: 'a usable store', withinMs, everyMs: 5 });
  }

  async refused(reason: RegExp): Promise<void> {
    const isRefused = () => this.status.mismatch && reason.test(this.status.reason);
    await eventually(isRefused, { what: `the refusal ${reason}`, withinMs: SOON_MS });
  }

  /** How often it has joined a reign so far. */
  get joins(): number {
    return this.events.filter((message) => message === 'primary in use').length;
  }

  /** Waits until it has joined a reign once more than so often. */
  async joinsAfter(joins: number, withinMs = SOON_MS): Promise<void> {
    await eventually(() => this.joins > joins, { what: 'another reign', withinMs, everyMs: 5 });
  }

  /** Waits until the last quarantine has ended. Returns how. */
  async ended(withinMs: number): Promise<string> {
    const hasEnded = () => this.status.usable && this.status.quarantineRemainingMs === 0 && this.#lastEnd;
    return (await eventually(hasEnded, {
      what: 'the end of the quarantine',
      withinMs,
      everyMs: 5,
    })) as string;
  }

  get #lastEnd(): string | false {
    const ends = this.events.filter((message) => message.startsWith('the quarantine '));
    if (ends.length === 0) return false;
    return ends.at(-1) === 'the quarantine ended early' ? 'early' : 'full';
  }

  /** The lease, or a word for why there is none. */
  async acquire(resource: string, given: Partial<LeaseSpec> = {}): Promise<Lease | string> {
    calls += 2;
    const spec = leaseSpec({ resource, ttlMs: this.#maxTtlMs, ...given });
    const command = { spec, stamp: { instanceId: this.id, callNumber: calls }, mayWait: false };
    try {
      const outcome = await this.store.locks.acquire(command, inTime(2_000));
      return outcome.kind === 'granted' ? outcome.lease : outcome.kind;
    } catch (error) {
      return (error as { code: string }).code;
    }
  }

  async granted(resource: string, given: Partial<LeaseSpec> = {}): Promise<Lease> {
    const lease = await this.acquire(resource, given);
    if (typeof lease === 'string') throw new Error(`${resource}: ${lease}`);
    return lease;
  }

  async renew({ resource, leaseId, fencingToken }: Lease): Promise<string> {
    try {
      const [outcome] = await this.store.locks.renew(
        [{ resource, leaseId, fencingToken, ttlMs: 0 }],
        inTime(2_000),
      );
      return outcome?.kind ?? '';
    } catch (error) {
      return (error as { code: string }).code;
    }
  }

  /** Asks again and again until it is granted. Returns the lease and when it was. */
  async grantedAtLast(resource: string, withinMs: number): Promise<{ lease: Lease; atMs: number }> {
    const lease = await eventually(
      async () => {
        const got = await this.acquire(resource);
        return typeof got !== 'string' && got;
      },
      { what: `a grant of ${resource}`, withinMs, everyMs: 50 },
    );
    return { lease, atMs: performance.now() };
  }
}

/** Renews it each half second from each that answers, until `stop` is called. */
export function keep(lease: Lease, member: Member): { readonly stop: () => Promise<readonly string[]> } {
  const outcomes: string[] = [];
  let isOver = false;
  const work = (async () => {
    while (!isOver) {
      outcomes.push(await member.renew(lease));
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  })();
  return {
    stop: async () => {
      isOver = true;
      await work;
      return outcomes;
    },
  };
}

export async function passed(ms: number): Promise<void> {
  const overMs = performance.now() + ms;
  await eventually(() => performance.now() >= overMs, { what: 'some time', withinMs: ms + 10_000 });
}
