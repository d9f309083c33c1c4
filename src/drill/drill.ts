// A drill: a failover under a load of its own, and what it cost. Owns its clients, its load and their end; the phases
// are in rehearsal.ts, and the command line asks people and prints.
//
// Before the request for the failover nothing has happened to the deployment but a small load. After it, the Sentinels
// finish without the drill: an interrupted drill takes away its load and says how far the failover was.

import type { Client, ServerInfo } from '../client/client.ts';
import type { SentinelRedisConfig } from '../config/config.ts';
import { type Clock, pause } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import { quarantineMs } from '../domain/safety.ts';
import { Canary, type Left } from './canary.ts';
import { CanaryRecord } from './canary-record.ts';
import type { DrillPlan, Phase } from './drill-plan.ts';
import { type DrillMarks, type DrillReport, inSeconds, reportOf } from './drill-report.ts';
import { loadText } from './drill-text.ts';
import { DrillTimeline, type TimelineEvent } from './drill-timeline.ts';
import { FailoverWatch } from './failover-watch.ts';
import { GuardedCounters } from './guarded-counters.ts';
import { noRedis, type Objection, objectionsTo } from './objections.ts';
import { GRANTS_WITHIN_MS, rehearse } from './rehearsal.ts';
import { lookAround } from './safety-look.ts';
import { SentinelSide } from './sentinel-side.ts';

export interface DrillOptions {
  readonly plan: DrillPlan;
  readonly redis: SentinelRedisConfig;
  readonly servers: readonly string[];
  readonly connect: (servers: readonly string[]) => Client;
  readonly clock: Clock;
  /** Its abort interrupts the drill, which then takes back its load. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: TimelineEvent) => void;
}

/** What people want to know before they say yes. */
export interface DrillForecast {
  readonly primary: HostPort;
  readonly replicas: readonly HostPort[];
  readonly ttlMs: number;
  readonly quarantineMs: number;
  /** It should end the quarantine after a second or so. */
  readonly hasRollCall: boolean;
}

export interface DrillLook {
  readonly objections: readonly Objection[];
  /** undefined: there is no primary to fail over. */
  readonly forecast: DrillForecast | undefined;
}

export type DrillEnd =
  | {
      readonly kind: 'reported';
      readonly report: DrillReport;
      readonly record: CanaryRecord;
      readonly marks: DrillMarks;
    }
  /** Nothing was triggered. */
  | { readonly kind: 'refused'; readonly objections: readonly Objection[] }
  | { readonly kind: 'interrupted' };

export type Stage = 'preparing' | 'starting' | Phase | 'cleaning up';

/** An operation that the drill can't remove ends by itself so long after the drill should have ended. */
const OPERATIONS_SPARE_MS = 5 * 60_000;
const LIST_MS = 3_000;
const LIST_EVERY_MS = 250;
/** Cleaning up that takes longer is told. */
const QUICK_MS = 1_000;
/** Beyond the quarantine or the TTL of what no server could be told of. */
const CLEAN_UP_MS = 10_000;
const CLIENTS_AT_LEAST = 2;

export class Drill {
  /** Begins the names of all that this drill uses. */
  readonly prefix: string;
  stage: Stage = 'preparing';
  readonly #options: DrillOptions;
  readonly #sentinels: SentinelSide;
  readonly #watchers: ReadonlyMap<string, Client>;
  readonly #callers: readonly Client[];
  readonly #watch: FailoverWatch;
  readonly #timeline: DrillTimeline;
  #info: ServerInfo | undefined;
  #canary: Canary | undefined;

  /** @param run a random text, so that two drills don't meet. */
  constructor(options: DrillOptions, run: string) {
    const { plan, redis, servers, connect, clock, onEvent } = options;
    this.#options = options;
    this.prefix = `${plan.prefix}${run}/`;
    this.#sentinels = new SentinelSide({ redis, clock });
    this.#watchers = new Map(servers.map((server) => [server, connect([server])]));
    this.#callers = Array.from({ length: Math.max(CLIENTS_AT_LEAST, servers.length) }, () =>
      connect(servers),
    );
    this.#timeline = new DrillTimeline(clock, onEvent);
    this.#watch = new FailoverWatch({
      sentinels: this.#sentinels,
      masterName: redis.masterName,
      servers: this.#watchers,
      clock,
      timeline: this.#timeline,
    });
  }

  /**
   * Looks whether a failover is safe now, and tells also what the plan accepts. Rejects when no server can be asked at
   * all.
   */
  async look(timeoutMs: number): Promise<DrillLook> {
    const { signal, servers } = this.#options;
    const info = await this.#callerOf(0).serverInfo({ timeoutMs, signal });
    this.#info = info;
    if (info.store === 'memory') return { objections: [noRedis(servers)], forecast: undefined };
    const { objections, primary, replicas } = await this.#judge();
    const times = {
      ttlMs: this.#ttlMs(),
      quarantineMs: this.#quarantineMs(),
      hasRollCall: info.rollCall?.enabled ?? false,
    };
    return { objections, forecast: primary && { primary, replicas, ...times } };
  }

  /** To be called after `look`. Rejects with what keeps the load from starting. It takes back its load in any case. */
  async run(): Promise<DrillEnd> {
    const { plan, clock, signal, redis } = this.#options;
    const startedAt = new Date(clock.wallMs());
    const timeline = this.#timeline;
    const record = new CanaryRecord(clock, (what) => timeline.say('callers', what));
    const counters = new GuardedCounters(record);
    const around = {
      clientOf: (caller: number) => this.#callerOf(caller),
      clock,
      record,
      counters,
      prefix: this.prefix,
      ttlMs: this.#ttlMs(),
    };
    const canary = new Canary(around, plan.load, this.#operationsLiveMs());
    const watching = new AbortController();
    try {
      const { objections, primary, reign } = await this.#judgeStrictly();
      if (!primary || objections.length > 0) return { kind: 'refused', objections };
      signal.throwIfAborted();
      this.stage = 'starting';
      this.#canary = canary;
      timeline.say('drill', `the load starts: ${loadText(plan)}, all under ${this.prefix}`);
      void this.#watch.run(primary, reign, watching.signal);
      await canary.start(signal);
      const rehearsed = await rehearse({
        plan,
        canary,
        record,
        timeline,
        watch: this.#watch,
        sentinels: this.#sentinels,
        clock,
        quarantineMs: this.#quarantineMs(),
        judge: () => this.#judgeStrictly(),
        onPhase: (phase) => {
          this.stage = phase;
        },
        signal,
      });
      if (rehearsed.kind === 'refused') return rehearsed;
      const { marks, troubles } = rehearsed;
      const report = reportOf({
        plan,
        deployment: redis.masterName,
        startedAt,
        formerPrimary: this.#watch.switched?.from ?? formatHostPort(primary),
        newPrimary: this.#watch.lastSwitched?.to,
        quarantineMs: this.#quarantineMs(),
        hasRollCall: this.#info?.rollCall?.enabled ?? false,
        quarantineEnd: this.#watch.quarantineEnd(),
        heldLeases: plan.load.holders,
        operations: canary.operations(),
        grantsJudged: counters.grants,
        guardedWrites: counters.writes,
        record,
        marks,
        events: timeline.events,
        troubles,
      });
      return { kind: 'reported', report, record, marks };
    } catch (error) {
      if (signal.aborted) return { kind: 'interrupted' };
      throw error;
    } finally {
      this.stage = 'cleaning up';
      await this.#cleanUp(canary);
      watching.abort();
    }
  }

  /** What is left by the drill's own books. A failover may have forgotten a release that they count as done. */
  left(): Left & { readonly hasFailedOver: boolean } {
    const left = this.#canary?.left() ?? { leases: 0, operations: 0 };
    return { ...left, hasFailedOver: this.#watch.hasBegun };
  }

  /**
   * In how many milliseconds what is left ends by itself, at the latest. An operation first ends, and then its record.
   */
  leftForMs(): { readonly leases: number; readonly operations: number } {
    return { leases: this.#ttlMs() + this.#watch.quarantineMs(), operations: 2 * this.#operationsLiveMs() };
  }

  /** How many locks of the drill the servers still list; undefined if none could be asked. */
  async listed(): Promise<number | undefined> {
    let count = 0;
    try {
      for await (const _ of this.#callerOf(0).locks.list({ prefix: this.prefix, timeoutMs: LIST_MS }))
        count++;
      return count;
    } catch {
      return undefined;
    }
  }

  /** How far the failover is, for somebody whose drill has ended early. */
  failoverNow(): string {
    return this.#watch.describe();
  }

  close(): void {
    for (const client of [...this.#callers, ...this.#watchers.values()]) client.close();
    this.#sentinels.close();
  }

  /**
   * Takes the load back when that can't be forgotten in a failover any more, and waits until the servers list nothing
   * of it. In a quarantine that is after its end: a release counts only then.
   */
  async #cleanUp(canary: Canary): Promise<void> {
    const { clock, plan } = this.#options;
    if (this.#watch.isUnderWay) {
      this.#timeline.say(
        'drill',
        'waits for the end of the switch, which would forget what is released now (Ctrl-C ends it)',
      );
    }
    const switchedByMs = clock.monotonicMs() + plan.withinMs;
    while (this.#watch.isUnderWay && clock.monotonicMs() < switchedByMs) await pause(clock, LIST_EVERY_MS);
    const withinMs = Math.max(this.#watch.quarantineMs(), this.#ttlMs()) + CLEAN_UP_MS;
    const untilMs = clock.monotonicMs() + withinMs;
    const said = clock.after(QUICK_MS, () => {
      const quarantine = this.#watch.quarantineMs();
      const why = quarantine > 0 ? `: the quarantine ends in ${inSeconds(quarantine)}` : '';
      this.#timeline.say('drill', `takes back its load${why} (Ctrl-C leaves the rest to end by itself)`);
    });
    await canary.stop(withinMs);
    while (this.#canary && (await this.listed()) !== 0 && clock.monotonicMs() < untilMs) {
      await pause(clock, LIST_EVERY_MS);
    }
    said.cancel();
  }

  async #judge() {
    const look = await lookAround(this.#sentinels, this.#watchers);
    const { primary, replicas, sentinels } = look.topology;
    const objections = objectionsTo(look, this.#options.plan);
    const reign = [...look.servers.values()].find((state) => 'reign' in state)?.reign ?? '';
    return { objections, primary, replicas, reign, sentinel: sentinels[0]?.address };
  }

  async #judgeStrictly() {
    const judged = await this.#judge();
    const { accepted } = this.#options.plan;
    return { ...judged, objections: judged.objections.filter(({ check }) => !accepted.includes(check)) };
  }

  #callerOf(caller: number): Client {
    const client = this.#callers[caller % this.#callers.length];
    if (!client) throw new Error('a drill has clients');
    return client;
  }

  #ttlMs(): number {
    return this.#options.plan.ttlMs ?? this.#info?.defaultTtlMs ?? 0;
  }

  #quarantineMs(): number {
    return this.#options.redis.quarantine === 'off' ? 0 : quarantineMs(this.#info?.maxTtlMs ?? 0);
  }

  #operationsLiveMs(): number {
    const { beforeMs, withinMs, afterMs } = this.#options.plan;
    return beforeMs + withinMs + this.#quarantineMs() + GRANTS_WITHIN_MS + afterMs + OPERATIONS_SPARE_MS;
  }
}
