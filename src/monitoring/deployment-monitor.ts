// Reads at intervals what Redis, its replicas and the Sentinels say of themselves, and hears what the Sentinels
// announce. It has connections of its own, and takes no part in the path of locks. It keeps what it has read for
// deployment-metrics.ts, so a scrape waits for nobody. Each node is read by itself: one that hangs delays no other, and
// is asked again when its last question is answered or given up.

import type { RedisConfig } from '../config/config.ts';
import { redisConnection, sentinelConnection } from '../deployment/connection-settings.ts';
import { NodeLines } from '../deployment/node-lines.ts';
import { type SentinelView, topologyOf } from '../deployment/topology.ts';
import { type Clock, pause, type Timer } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import { toldOnce } from '../domain/told-once.ts';
import type { LockCounts } from '../store/redis/deployment-counts.ts';
import { attachedReplicas } from '../store/redis/info.ts';
import { keysFor } from '../store/redis/keys.ts';
import { type Collector, type CollectorState, Collectors } from './collectors.ts';
import { CountsReader } from './counts-reader.ts';
import { Member, type Watched, watched } from './member.ts';
import { type NodeReading, readNode } from './node-reader.ts';
import { type ListenerState, NoticeListener } from './notice-listener.ts';
import type { Census } from './operation-census.ts';
import {
  NOTICE_CHANNELS,
  type Notice,
  NoticeEchoes,
  type NoticeName,
  parseNotice,
} from './sentinel-notices.ts';
import { readSentinelState, type SentinelReading } from './sentinel-reader.ts';

export interface MonitorOptions {
  readonly redis: RedisConfig;
  readonly pollIntervalMs: number;
  /** Its connections have it in their name. */
  readonly id: string;
  readonly clock: Clock;
  readonly log: {
    info(facts: object, message: string): void;
    warn(facts: object, message: string): void;
  };
}

/** Of a command. Connecting has the bound of the configuration. */
const ANSWER_WITHIN_MS = 2_000;
/** The nodes are read after the Sentinels that answer so soon have said which ones there are. */
const SENTINELS_FIRST_MS = 300;
/** Each has a connection and some fifty series. */
export const MOST_NODES = 32;
const OF_NODES: readonly Collector[] = ['info', 'latency', 'slowlog'];
const OF_SENTINELS: readonly Collector[] = ['sentinels', 'events'];

export class DeploymentMonitor {
  readonly #options: MonitorOptions;
  readonly #redisLines: NodeLines;
  readonly #sentinelLines: NodeLines | undefined;
  readonly #listeners = new Map<string, NoticeListener>();
  readonly #collectors: Collectors;
  readonly #echoes: NoticeEchoes;
  readonly #counts: CountsReader;
  readonly #nodes = new Map<string, Member<NodeReading>>();
  readonly #sentinels = new Map<string, Member<SentinelReading>>();
  readonly #notices = new Map<NoticeName, number>(NOTICE_CHANNELS.map((name) => [name, 0]));
  readonly #closing = new AbortController();
  readonly #tooMany: (reason: string | undefined) => void;
  /** The node whose counts are read. */
  #primary: HostPort | undefined;
  /** Named by a majority at the last poll that had one, and by the last announcement of a switch. */
  #agreed: string | undefined;
  #announced: string | undefined;
  #lastFailoverMs: number | undefined;
  #timer: Timer | undefined;

  constructor(options: MonitorOptions) {
    this.#options = options;
    const { redis, id, clock, log } = options;
    const name = `leasehold-monitor-${id}`;
    // The store, which reads the same files, tells of those that can't be read.
    const silent = { event: () => {} };
    const common = { clock, timeoutMs: ANSWER_WITHIN_MS };
    this.#redisLines = new NodeLines({ ...common, settings: redisConnection(redis, name, silent) });
    this.#counts = new CountsReader(this.#redisLines, keysFor(redis.keyPrefix), clock);
    this.#echoes = new NoticeEchoes(clock);
    this.#tooMany = toldOnce((reason) => log.warn({ reason }, 'the monitor leaves nodes out'));
    const names = redis.kind === 'single' ? [] : OF_SENTINELS;
    this.#collectors = new Collectors([...OF_NODES, 'counts', ...names], clock, (collector, target, reason) =>
      log.warn({ collector, target, reason }, `the monitor can't read all: ${collector}`),
    );
    if (redis.kind === 'single') {
      this.#primary = redis.address;
      return;
    }
    const settings = sentinelConnection(redis, name, silent);
    this.#sentinelLines = new NodeLines({ ...common, settings });
    for (const address of redis.sentinels) {
      const sentinel = formatHostPort(address);
      this.#sentinels.set(sentinel, new Member(address));
      this.#listeners.set(
        sentinel,
        new NoticeListener({
          address,
          settings,
          ...common,
          onNotice: (what, message) => this.#heard(what, message, sentinel, redis.masterName),
          onState: (state) => this.#listens(sentinel, state),
        }),
      );
    }
  }

  /** Reads now, and from now on at each interval. */
  start(): void {
    if (this.#closing.signal.aborted) return;
    this.#timer = this.#options.clock.after(this.#options.pollIntervalMs, () => this.start());
    void this.#poll();
  }

  close(): void {
    this.#closing.abort();
    this.#timer?.cancel();
    for (const listener of this.#listeners.values()) listener.close();
    this.#redisLines.close();
    this.#sentinelLines?.close();
  }

  get hasSentinels(): boolean {
    return this.#sentinelLines !== undefined;
  }

  nodes(): readonly Watched<NodeReading>[] {
    return watched(this.#nodes);
  }

  sentinels(): readonly Watched<SentinelReading>[] {
    return watched(this.#sentinels);
  }

  get lockCounts(): LockCounts | undefined {
    return this.#counts.locks;
  }

  get census(): Census | undefined {
    return this.#counts.operations;
  }

  collectors(): readonly CollectorState[] {
    return this.#collectors.states();
  }

  notices(): ReadonlyMap<NoticeName, number> {
    return this.#notices;
  }

  /** When the primary was last seen to change, by the system clock; undefined: never. */
  get lastFailoverMs(): number | undefined {
    return this.#lastFailoverMs;
  }

  async #poll(): Promise<void> {
    const { clock } = this.#options;
    // A subscription that goes on is a read that succeeds again.
    for (const [sentinel, { state }] of this.#listeners) if (state) this.#listens(sentinel, state);
    const all = Promise.all([...this.#sentinels.values()].map((sentinel) => this.#readSentinel(sentinel)));
    await Promise.race([all, pause(clock, SENTINELS_FIRST_MS, this.#closing.signal)]);
    // Nothing is known yet, so there is nothing to read meanwhile.
    if (!this.#primary) await all;
    if (this.#closing.signal.aborted) return;
    this.#findNodes();
    for (const node of this.#nodes.values()) void this.#readNode(node);
    void this.#count();
  }

  async #readSentinel(sentinel: Member<SentinelReading>): Promise<void> {
    const { redis, clock } = this.#options;
    const lines = this.#sentinelLines;
    if (redis.kind === 'single' || !lines || sentinel.isBusy) return;
    sentinel.isBusy = true;
    const answer = await readSentinelState(sentinel.address, redis.masterName, lines, clock);
    sentinel.isBusy = false;
    if (this.#closing.signal.aborted) return;
    sentinel.record(answer);
    this.#collectors.report(answer.read);
    // One that is frozen for a moment tells, when it wakes, what came of that (TILT): on the connection that it has.
    if (answer.isSilent && !sentinel.reading)
      this.#listeners.get(formatHostPort(sentinel.address))?.reconnect();
  }

  /** Which nodes there are, by what the Sentinels have said last. While none says anything, they stay the same. */
  #findNodes(): void {
    const { primary, agreedPrimary, replicas } = this.#topology();
    if (agreedPrimary) this.#sawPrimary(agreedPrimary);
    this.#primary = primary ?? this.#primary;
    if (!this.#primary) return;
    const named = [this.#primary, ...replicas].map((address): [string, HostPort] => [
      formatHostPort(address),
      address,
    ]);
    // Those that are read already go on, in whichever order the Sentinels name them.
    const [first, ...others] = named;
    const sorted = others.toSorted(([a], [b]) => Number(this.#nodes.has(b)) - Number(this.#nodes.has(a)));
    const known = new Map([...(first ? [first] : []), ...sorted].slice(0, MOST_NODES));
    this.#tooMany(
      named.length > MOST_NODES ? `${named.length} nodes; the monitor reads ${MOST_NODES}` : undefined,
    );
    for (const [name, address] of known)
      if (!this.#nodes.has(name)) this.#nodes.set(name, new Member(address));
    // Without any answer, nobody says that a node is gone.
    if (!primary) return;
    for (const name of this.#nodes.keys()) if (!known.has(name)) this.#nodes.delete(name);
    const left = [...this.#nodes.values()].map(({ address }) => address);
    this.#redisLines.keepOnly(left);
    this.#collectors.keepOnly(OF_NODES, new Set(known.keys()));
    this.#collectors.keepOnly(['counts'], new Set([formatHostPort(this.#primary)]));
  }

  #topology(): {
    primary?: HostPort | undefined;
    agreedPrimary?: HostPort | undefined;
    replicas: HostPort[];
  } {
    const { redis } = this.#options;
    const views = [...this.#sentinels.values()].map(
      ({ address, reading }): SentinelView | { address: HostPort; reason: string } =>
        reading?.view ?? { address, reason: '' },
    );
    const { primary = redis.kind === 'single' ? redis.address : undefined, ...told } = topologyOf(views);
    const known = primary && this.#nodes.get(formatHostPort(primary))?.reading;
    const attached = known ? attachedReplicas(known.info).map(({ address }) => address) : [];
    // Those that the Sentinels name stay, whether they are attached or not. Where they name none, the primary does.
    const isTold = told.sentinels.some(({ refused }) => !refused.has('REPLICAS'));
    return { primary, agreedPrimary: told.agreedPrimary, replicas: isTold ? [...told.replicas] : attached };
  }

  /** A switch whose announcement was missed. */
  #sawPrimary(primary: HostPort): void {
    const { clock, log } = this.#options;
    const [node, former] = [formatHostPort(primary), this.#agreed];
    this.#agreed = node;
    if (former === undefined || former === node || this.#announced === node) return;
    this.#lastFailoverMs = clock.wallMs();
    log.warn({ node, former }, 'the Sentinels name another primary');
  }

  async #readNode(node: Member<NodeReading>): Promise<void> {
    if (node.isBusy) return;
    node.isBusy = true;
    const answer = await readNode(node.address, this.#redisLines, this.#options.clock);
    node.isBusy = false;
    const isForgotten = this.#nodes.get(formatHostPort(node.address)) !== node;
    if (this.#closing.signal.aborted || isForgotten) return;
    node.record(answer);
    for (const read of answer.reads) this.#collectors.report(read);
  }

  async #count(): Promise<void> {
    const primary = this.#primary;
    const read = await this.#counts.read(primary);
    if (!read || this.#closing.signal.aborted) return;
    // The collector of INFO has told of a node that doesn't answer.
    const isTold = read.reason !== undefined && this.#nodes.get(read.target)?.isUp === false;
    this.#collectors.report({ ...read, isTold });
  }

  #listens(sentinel: string, { tookMs, reason, isRefused }: ListenerState): void {
    // The collector of questions tells of a Sentinel that can't be reached.
    const isTold = reason !== undefined && !isRefused;
    this.#collectors.report({ collector: 'events', target: sentinel, tookMs, reason, isTold });
  }

  #heard(what: NoticeName, message: string, sentinel: string, masterName: string): void {
    const notice = parseNotice(what, message, masterName);
    if (!notice || this.#echoes.isEcho(notice, sentinel)) return;
    this.#notices.set(what, (this.#notices.get(what) ?? 0) + 1);
    this.#options.log[what.startsWith('+') ? 'warn' : 'info'](
      factsOf(notice, sentinel),
      `Sentinel says ${what}`,
    );
    if (what !== '+switch-master' || !notice.node) return;
    this.#lastFailoverMs = this.#options.clock.wallMs();
    this.#announced = formatHostPort(notice.node);
    this.#primary = notice.node;
  }
}

function factsOf({ what, node, kind, former }: Notice, sentinel: string): object {
  return {
    what,
    ...(node ? { node: formatHostPort(node), kind } : {}),
    ...(former ? { former: formatHostPort(former) } : {}),
    sentinel,
  };
}
