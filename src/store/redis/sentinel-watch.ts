// What the Sentinels say: who the primary is, and under which config epoch. Asks each of them twice a second, and at
// once when one announces a switch. Answers the question that every success rests on: does a majority of them, asked
// recently enough, name this node under this epoch? Knows nothing of scripts or reigns.
//
// Over 300 lines because a Sentinel's answer and its connection are read together.

import { type Clock, pause } from '../../domain/clock.ts';
import { formatHostPort, type HostPort } from '../../domain/host-port.ts';
import { CONFIRMATION_WINDOW_MS, SENTINEL_POLL_MS } from '../../domain/safety.ts';
import type { SentinelCounts, StoreObserver } from '../store.ts';
import { Connection, type ConnectionSettings } from './connection.ts';
import { fieldsOf } from './info.ts';
import { type Moment, type NamedPrimary, namedPrimary, type PrimaryLocator } from './primary-locator.ts';

/**
 * What one Sentinel answered, and when it was *asked*: an answer that took long is as old as its question.
 */
interface SentinelView {
  readonly primary: NamedPrimary;
  readonly askedAtMs: number;
  readonly askedAtWallMs: number;
  readonly sentinels: number;
  readonly downAfterMs: number;
}

/** What a majority names, and the oldest of its questions. */
type Agreement = Pick<SentinelView, 'primary' | 'askedAtMs' | 'askedAtWallMs'>;

export interface SentinelWatchOptions {
  readonly masterName: string;
  readonly addresses: readonly HostPort[];
  readonly connection: ConnectionSettings;
  readonly clock: Clock;
  readonly observer: StoreObserver;
}

const ANSWER_TIMEOUT_MS = 1_000;
const RECONNECT_MS = 500;
const ASK_AGAIN_MS = 100;
const GONE_FOR_GOOD_MS = 10 * 60_000;

export class SentinelWatch implements PrimaryLocator {
  readonly hasSentinels = true;
  readonly #options: SentinelWatchOptions;
  readonly #views = new Map<string, SentinelView>();
  #agreement: Agreement | undefined;
  readonly #links: SentinelLink[];
  readonly #listeners = new Set<() => void>();
  /** Ends each wait of `awaitNamed`; undefined once closed, when there is nothing to wait for. */
  #waits: Set<() => void> | undefined = new Set();
  #warnedOfTooFew = false;

  constructor(options: SentinelWatchOptions) {
    this.#options = options;
    this.#links = options.addresses.map((address) => new SentinelLink(address, options, this.#heard));
  }

  named(askedSinceMs: number): NamedPrimary | undefined {
    return this.#agreement && this.#agreement.askedAtMs >= askedSinceMs ? this.#agreement.primary : undefined;
  }

  async awaitNamed(
    askedSinceMs: () => number,
    matches: (named: NamedPrimary) => boolean,
    deadlineMs: number,
  ): Promise<NamedPrimary | undefined> {
    const { clock } = this.#options;
    const answer = (): NamedPrimary | undefined => {
      const named = this.named(askedSinceMs());
      return named && matches(named) ? named : undefined;
    };
    const already = answer();
    const waits = this.#waits;
    if (already || !waits) return already;
    return new Promise((resolve) => {
      const finish = (named: NamedPrimary | undefined): void => {
        this.#listeners.delete(look);
        waits.delete(giveUp);
        timeout.cancel();
        asking.cancel();
        resolve(named);
      };
      const giveUp = (): void => finish(undefined);
      const look = (): void => {
        const named = answer();
        if (named) finish(named);
      };
      const ask = (): void => {
        this.ask();
        asking = clock.after(ASK_AGAIN_MS, ask);
      };
      let asking = clock.after(ASK_AGAIN_MS, ask);
      const timeout = clock.after(deadlineMs - clock.monotonicMs(), giveUp);
      waits.add(giveUp);
      this.#listeners.add(look);
      this.ask();
    });
  }

  agreedAt(primary: NamedPrimary): Moment | undefined {
    const agreement = this.#agreement;
    if (agreement?.primary.key !== primary.key) return undefined;
    return { monotonicMs: agreement.askedAtMs, wallMs: agreement.askedAtWallMs };
  }

  /** Asks every connected Sentinel now, unless it is just being asked. */
  ask(): void {
    for (const link of this.#links) void link.ask();
  }

  onAnswer(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get downAfterMs(): number | undefined {
    return this.#views.values().next().value?.downAfterMs;
  }

  sentinels(inUse: NamedPrimary | undefined): SentinelCounts {
    const since = this.#options.clock.monotonicMs() - CONFIRMATION_WINDOW_MS;
    const naming = new Map<string, number>();
    for (const { primary, askedAtMs } of this.#views.values()) {
      if (askedAtMs >= since) naming.set(primary.key, (naming.get(primary.key) ?? 0) + 1);
    }
    return {
      known: this.#sentinelCount(),
      agreeing: inUse ? (naming.get(inUse.key) ?? 0) : Math.max(0, ...naming.values()),
      needed: this.#majoritySize(),
      agreedAtMs: this.#agreement?.askedAtMs,
    };
  }

  describe(): string {
    const since = this.#options.clock.monotonicMs() - 2 * ANSWER_TIMEOUT_MS;
    const fresh = [...this.#views.values()].filter((view) => view.askedAtMs >= since).length;
    return `${fresh} of ${this.#sentinelCount()} Sentinels answer, ${this.#majoritySize()} must agree`;
  }

  close(): void {
    for (const link of this.#links) link.close();
    const waits = this.#waits;
    this.#waits = undefined;
    for (const giveUp of waits ?? []) giveUp();
  }

  // A Sentinel that nobody configured here counts too: with three listed of five that exist, two of the three
  // are no majority, and the other three may have elected someone else.
  #sentinelCount(): number {
    const { addresses, clock } = this.#options;
    let count = addresses.length;
    // A Sentinel that was removed for good stops counting with what it last said.
    const since = clock.monotonicMs() - GONE_FOR_GOOD_MS;
    for (const view of this.#views.values()) {
      if (view.askedAtMs >= since) count = Math.max(count, view.sentinels);
    }
    return count;
  }

  #majoritySize(): number {
    return Math.floor(this.#sentinelCount() / 2) + 1;
  }

  // Works this out at each answer, not at each question: every success of every call asks.
  #findAgreement(): Agreement | undefined {
    const needed = this.#majoritySize();
    const viewsOf = new Map<string, SentinelView[]>();
    for (const view of this.#views.values()) {
      const views = viewsOf.get(view.primary.key) ?? [];
      viewsOf.set(view.primary.key, views);
      views.push(view);
    }
    let best: Agreement | undefined;
    for (const { primary } of this.#views.values()) {
      const views = (viewsOf.get(primary.key) ?? []).sort((a, b) => b.askedAtMs - a.askedAtMs);
      const oldest = views[needed - 1]; // the oldest question of the freshest majority
      if (oldest && (!best || oldest.askedAtMs > best.askedAtMs)) best = oldest;
    }
    return best;
  }

  #heard = (id: string, view: SentinelView): void => {
    const known = this.#views.get(id);
    if (!known || view.askedAtMs > known.askedAtMs) this.#views.set(id, view);
    this.#agreement = this.#findAgreement();
    if (!this.#warnedOfTooFew && this.#options.addresses.length < this.#majoritySize()) {
      this.#warnedOfTooFew = true;
      const facts = { configured: this.#options.addresses.length, sentinels: this.#sentinelCount() };
      this.#options.observer.event('error', 'redis.address lists fewer Sentinels than their majority', facts);
    }
    for (const listener of [...this.#listeners]) listener();
  };
}

/**
 * The connections to one configured Sentinel address: one to ask, one to hear of switches; made anew when
 * they close.
 */
class SentinelLink {
  readonly #address: HostPort;
  readonly #options: SentinelWatchOptions;
  readonly #heard: (id: string, view: SentinelView) => void;
  readonly #closing = new AbortController();
  #asking: { connection: Connection; id: string } | undefined;
  #subscribed: Connection | undefined;
  #askInFlight: Promise<void> | undefined;
  #complaint = '';

  constructor(
    address: HostPort,
    options: SentinelWatchOptions,
    heard: (id: string, view: SentinelView) => void,
  ) {
    this.#address = address;
    this.#options = options;
    this.#heard = heard;
    void this.#run();
  }

  close(): void {
    this.#closing.abort();
    this.#asking?.connection.destroy();
    this.#subscribed?.destroy();
  }

  ask(): Promise<void> {
    this.#askInFlight ??= this.#ask().finally(() => {
      this.#askInFlight = undefined;
    });
    return this.#askInFlight;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#closing.signal.aborted) {
      try {
        await this.#connect();
        while (this.#asking && !this.#asking.connection.isClosed && !this.#closing.signal.aborted) {
          await this.ask();
          await pause(clock, SENTINEL_POLL_MS, this.#closing.signal);
        }
      } catch (error) {
        this.#complain('cannot be reached', error);
      }
      this.#subscribed?.destroy();
      this.#asking?.connection.destroy();
      this.#asking = undefined;
      await pause(clock, RECONNECT_MS, this.#closing.signal);
    }
  }

  async #connect(): Promise<void> {
    const { connection: settings, clock } = this.#options;
    const { signal } = this.#closing;
    const connection = await Connection.open(this.#address, settings, clock, signal);
    try {
      const id = String(await connection.callWithin(ANSWER_TIMEOUT_MS, 'SENTINEL', 'MYID'));
      this.#subscribed = await Connection.open(this.#address, settings, clock, signal);
      await this.#subscribed.subscribeWithin(ANSWER_TIMEOUT_MS, '+switch-master', () => void this.ask());
      if (this.#closing.signal.aborted) throw new Error('closing');
      this.#asking = { connection, id };
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  async #ask(): Promise<void> {
    const asking = this.#asking;
    if (!asking || asking.connection.isClosed) return;
    const { clock, masterName } = this.#options;
    const askedAtMs = clock.monotonicMs();
    const askedAtWallMs = clock.wallMs();
    try {
      const reply = await asking.connection.callWithin(ANSWER_TIMEOUT_MS, 'SENTINEL', 'MASTER', masterName);
      const fields = fieldsOf(reply);
      this.#complaint = '';
      this.#heard(asking.id, {
        primary: namedPrimary(
          { host: fields.get('ip') ?? '', port: Number(fields.get('port')) },
          fields.get('config-epoch') ?? '',
        ),
        askedAtMs,
        askedAtWallMs,
        sentinels: Number(fields.get('num-other-sentinels')) + 1,
        downAfterMs: Number(fields.get('down-after-milliseconds')),
      });
    } catch (error) {
      this.#complain('did not answer', error);
      // "No such master" is an answer; anything else leaves a connection whose next reply could be this
      // one's.
      if (!String(error).includes('No such master')) asking.connection.destroy();
    }
  }

  // The same complaint once, not twice a second.
  #complain(what: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const text = /unknown command .?sentinel\b/i.test(reason)
      ? 'redis.address names a Redis among the Sentinels: with redis.failover_cluster, it lists Sentinels alone'
      : `Sentinel ${what}: ${reason}`;
    if (this.#complaint === text || this.#closing.signal.aborted) return;
    this.#complaint = text;
    this.#options.observer.event('warn', text, { sentinel: formatHostPort(this.#address) });
  }
}
