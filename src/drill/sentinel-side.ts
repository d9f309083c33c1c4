// The Sentinels of a deployment as a drill meets them: it asks one of them for a failover, and hears when they name
// another primary. It never takes part in the path of locks.

import type { SentinelRedisConfig } from '../config/config.ts';
import { redisConnection, sentinelConnection } from '../deployment/connection-settings.ts';
import { NodeLines } from '../deployment/node-lines.ts';
import { addressIn, flagsIn, readTopology, type Topology } from '../deployment/topology.ts';
import { type Clock, pause } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';

export interface SentinelSideOptions {
  readonly redis: SentinelRedisConfig;
  readonly clock: Clock;
}

/** What the watch tells. */
export interface SentinelNews {
  /** A Sentinel said so by +switch-master, or when it was asked. */
  switched(by: HostPort, from: string, to: string): void;
  failoverFlag(by: HostPort, isInProgress: boolean): void;
}

/** What became of the request for a failover. */
export type FailoverAnswer =
  | { readonly kind: 'begun'; readonly by: HostPort }
  | { readonly kind: 'refused'; readonly by: HostPort; readonly reply: string }
  /** Nobody knows whether the Sentinel has begun. */
  | { readonly kind: 'unknown'; readonly by: HostPort; readonly reason: string };

const NAME = 'leasehold-drill';
const COMMAND_MS = 2_000;
const POLL_MS = 250;
const CHANNEL = '+switch-master';

export class SentinelSide {
  readonly #redis: SentinelRedisConfig;
  readonly #clock: Clock;
  readonly #nodes: NodeLines;
  readonly #asked: NodeLines;
  readonly #heard: NodeLines;

  constructor({ redis, clock }: SentinelSideOptions) {
    const silent = { event: () => {} }; // A file that can't be read again fails a connection, which is told.
    const toSentinels = sentinelConnection(redis, NAME, silent);
    const lines = (settings: typeof toSentinels): NodeLines =>
      new NodeLines({ settings, clock, timeoutMs: COMMAND_MS });
    this.#redis = redis;
    this.#clock = clock;
    this.#nodes = lines(redisConnection(redis, NAME, silent));
    this.#asked = lines(toSentinels);
    this.#heard = lines(toSentinels);
  }

  topology(): Promise<Topology> {
    return readTopology(this.#redis, this.#nodes, this.#asked);
  }

  /** INFO replication of a node, as a text. */
  async replicationOf(node: HostPort): Promise<string> {
    return String(await this.#nodes.ask(node, 'INFO', 'replication'));
  }

  /** Whether the Sentinel says that a quorum and a majority can be reached. Rejects with what it says otherwise. */
  async checkQuorum(sentinel: HostPort): Promise<void> {
    await this.#asked.ask(sentinel, 'SENTINEL', 'CKQUORUM', this.#redis.masterName);
  }

  /** One request to one Sentinel: a second one might cause a second failover. */
  async startFailover(by: HostPort): Promise<FailoverAnswer> {
    try {
      await this.#asked.ask(by, 'SENTINEL', 'FAILOVER', this.#redis.masterName);
      return { kind: 'begun', by };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const isReply = error instanceof Error && error.name === 'ReplyError';
      return isReply ? { kind: 'refused', by, reply: message } : { kind: 'unknown', by, reason: message };
    }
  }

  /** Listens at all configured Sentinels until the signal aborts. Never rejects. */
  async watch(from: HostPort, news: SentinelNews, signal: AbortSignal): Promise<void> {
    await Promise.all(
      this.#redis.sentinels.flatMap((sentinel) => [
        this.#listen(sentinel, news, signal),
        this.#poll(sentinel, formatHostPort(from), news, signal),
      ]),
    );
  }

  close(): void {
    for (const lines of [this.#nodes, this.#asked, this.#heard]) lines.close();
  }

  async #listen(sentinel: HostPort, news: SentinelNews, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const connection = await this.#heard.open(sentinel);
        await connection.subscribeWithin(COMMAND_MS, CHANNEL, (message) => {
          const [name, oldHost = '', oldPort, newHost = '', newPort] = message.split(' ');
          if (name !== this.#redis.masterName || signal.aborted) return;
          news.switched(
            sentinel,
            formatHostPort({ host: oldHost, port: Number(oldPort) }),
            formatHostPort({ host: newHost, port: Number(newPort) }),
          );
        });
        const over = new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => resolve(), { once: true }),
        );
        await Promise.race([connection.closed, over]);
      } catch {
        // The poll finds out what this one misses.
      }
      await pause(this.#clock, POLL_MS, signal);
    }
  }

  async #poll(sentinel: HostPort, from: string, news: SentinelNews, signal: AbortSignal): Promise<void> {
    let wasInProgress = false;
    let named = from;
    while (!signal.aborted) {
      const view = await this.#look(sentinel);
      if (signal.aborted) return;
      if (view && view.isInProgress !== wasInProgress) {
        wasInProgress = view.isInProgress;
        news.failoverFlag(sentinel, wasInProgress);
      }
      if (view?.named && view.named !== named) {
        news.switched(sentinel, named, view.named);
        named = view.named;
      }
      await pause(this.#clock, POLL_MS, signal);
    }
  }

  async #look(sentinel: HostPort): Promise<{ isInProgress: boolean; named: string | undefined } | undefined> {
    try {
      const { masterName } = this.#redis;
      const fields = pairsOf(await this.#asked.ask(sentinel, 'SENTINEL', 'MASTER', masterName));
      const address = addressIn(fields);
      const isInProgress = flagsIn(fields).includes('failover_in_progress');
      return { isInProgress, named: address && formatHostPort(address) };
    } catch {
      return undefined; // Silent for now: it may be the one that is stopped or killed.
    }
  }
}

function pairsOf(reply: unknown): ReadonlyMap<string, string> {
  const flat = Array.isArray(reply) ? reply.map(String) : [];
  return new Map(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? ''] as const] : [])));
}
