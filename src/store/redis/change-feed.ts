// Hears which locks change, as long as somebody on this instance wants to know: listens on the channel of changes, and
// makes the scripts speak on it (watch-changes.lua) for a while ahead, again and again. While nobody watches, no script
// publishes anything, and this costs nothing.
//
// Says that it hears changes only when these have happened, in this order: it subscribed to the channel, told the
// scripts to speak, and received the mark that this left on the channel. If it told the scripts first and subscribed
// then, nobody would hear of a change in between. And a connection that a firewall has silently dropped looks as quiet
// as a calm store.

import { type Clock, pause, within } from '../../domain/clock.ts';
import type { ChangeNotice, StoreBound } from '../lock-store.ts';
import type { StoreObserver } from '../store.ts';
import { ChannelListener } from './channel-listener.ts';
import type { ConnectionSettings } from './connection.ts';
import type { Session } from './session.ts';

export type FeedNotice =
  | ChangeNotice
  /** Its record changed, or is gone. */
  | { readonly kind: 'operation'; readonly name: string }
  /** An operation of this type may be claimed. */
  | { readonly kind: 'claimable'; readonly type: string };

export interface ChangeFeedOptions {
  readonly channel: string;
  readonly connection: ConnectionSettings;
  readonly clock: Clock;
  readonly observer: StoreObserver;
  readonly instanceId: string;
  /** Has changes told for `aheadMs` from now, and `mark` at once. Both answers are on the lease clock. */
  readonly extend: (aheadMs: number, mark: string, bound: StoreBound) => Promise<Extension>;
}

export interface Extension {
  readonly nowMs: number;
  readonly watchedUntilMs: number;
}

const EXTEND_MS = 2_000;
const AHEAD_MS = 10_000;
const EXTEND_TIMEOUT_MS = 1_000;
const MARK_TIMEOUT_MS = 2_000;
const RETRY_MS = 200;

export class ChangeFeed {
  readonly #options: ChangeFeedOptions;
  readonly #listener: ChannelListener;
  readonly #listeners = new Set<(notice: FeedNotice) => void>();
  #session: Session | undefined;
  #isListening = false;
  #marks = 0;
  #onMark: (mark: string) => void = () => {};

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
    this.#listener = new ChannelListener({
      name: options.channel,
      connection: options.connection,
      clock: options.clock,
      observer: options.observer,
      trouble: 'cannot listen for changes; watches wait, and end if it lasts',
      onMessage: (message) => this.#heard(message),
      onListening: (end) => void this.#keepWatched(end),
    });
  }

  /** Follows the session while anybody listens. */
  follow(session: Session | undefined): void {
    this.#session = session;
    this.#listener.follow(this.#listeners.size > 0 ? session : undefined);
  }

  listen(listener: (notice: FeedNotice) => void): () => void {
    const own = (notice: FeedNotice): void => listener(notice);
    this.#listeners.add(own);
    this.follow(this.#session);
    if (this.#isListening) own({ kind: 'listening', missed: true });
    return () => {
      this.#listeners.delete(own);
      this.follow(this.#session);
    };
  }

  close(): void {
    this.#listeners.clear();
    this.follow(undefined);
  }

  /** A word, and what it is about: "changed resource", "operation name", "claimable type", "mark whose". */
  #heard(message: string): void {
    const end = message.indexOf(' ');
    const [word, about] = [message.slice(0, end), message.slice(end + 1)];
    if (word === 'changed') this.#tell({ kind: word, resource: about });
    else if (word === 'operation') this.#tell({ kind: word, name: about });
    else if (word === 'claimable') this.#tell({ kind: word, type: about });
    else if (word === 'mark') this.#onMark(about);
  }

  async #keepWatched(end: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    end.addEventListener('abort', () => this.#becomeDeaf(), { once: true });
    // What this connection heard is complete up to here: each step reaches further before the last one's time is over.
    // Another instance's steps don't count: between ours and theirs the scripts may have been silent for a while.
    let completeUntilMs = Number.NEGATIVE_INFINITY;
    while (!end.aborted) {
      try {
        const { nowMs, watchedUntilMs } = await this.#extend(end);
        if (end.aborted) return;
        const missed = nowMs >= completeUntilMs;
        completeUntilMs = watchedUntilMs;
        const isNews = missed || !this.#isListening;
        this.#isListening = true;
        if (isNews) this.#tell({ kind: 'listening', missed });
        await pause(clock, EXTEND_MS, end);
      } catch {
        if (end.aborted) return;
        this.#becomeDeaf();
        await pause(clock, RETRY_MS, end);
      }
    }
  }

  async #extend(end: AbortSignal): Promise<Extension> {
    const { clock, instanceId, extend } = this.#options;
    const mark = `${instanceId}/${++this.#marks}`;
    const arrived = new Promise<void>((resolve) => {
      this.#onMark = (heard) => {
        if (heard === mark) resolve();
      };
    });
    const extension = await extend(AHEAD_MS, mark, { deadlineMs: clock.monotonicMs() + EXTEND_TIMEOUT_MS });
    const silent = (): Error => {
      if (!end.aborted) this.#listener.reconnect();
      return new Error('the channel of changes is silent');
    };
    await within(clock, MARK_TIMEOUT_MS, arrived, silent);
    return extension;
  }

  #becomeDeaf(): void {
    if (!this.#isListening) return;
    this.#isListening = false;
    this.#tell({ kind: 'deaf' });
  }

  #tell(notice: FeedNotice): void {
    for (const listener of this.#listeners) listener(notice);
  }
}
