// How far the failover of a drill is: what the Sentinels and the servers have told so far. Owns the watching; what
// follows from it for the drill is in rehearsal.ts.

import type { Client } from '../client/client.ts';
import type { Clock } from '../domain/clock.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import { type CanaryRecord, longestGap } from './canary-record.ts';
import { inSeconds } from './drill-report.ts';
import type { DrillTimeline } from './drill-timeline.ts';
import type { SentinelSide } from './sentinel-side.ts';
import { type QuarantineEnd, type ServerState, ServerStates } from './server-states.ts';

export interface FailoverWatchOptions {
  readonly sentinels: SentinelSide;
  readonly masterName: string;
  readonly servers: ReadonlyMap<string, Client>;
  readonly clock: Clock;
  readonly timeline: DrillTimeline;
}

interface Switch {
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
}

export class FailoverWatch {
  /** When a Sentinel was asked for a failover, and had not refused it. */
  askedAtMs: number | undefined;
  readonly #options: FailoverWatchOptions;
  readonly #states: ServerStates;
  readonly #switches: Switch[] = [];
  #grantsBackMs: number | undefined;
  #formerReign = '';

  constructor(options: FailoverWatchOptions) {
    this.#options = options;
    this.#states = new ServerStates(options.clock);
  }

  /** The first word of any Sentinel that another node is the primary now. */
  get switched(): Switch | undefined {
    return this.#switches[0];
  }

  /** The same of the last one: the new primary can fail, too. */
  get lastSwitched(): Switch | undefined {
    return this.#switches.at(-1);
  }

  get grantsBackMs(): number | undefined {
    return this.#grantsBackMs;
  }

  get hasBegun(): boolean {
    return this.askedAtMs !== undefined || this.switched !== undefined;
  }

  /** How long nothing is granted from now on, in milliseconds; 0 without a quarantine. */
  quarantineMs(): number {
    return this.#states.quarantineMs();
  }

  /** How the quarantine of the failover ended; undefined before that, and without a roll call. */
  quarantineEnd(): QuarantineEnd | undefined {
    return this.#states.quarantineEndAfter(this.#formerReign);
  }

  /**
   * Whether one has begun and a server may still use the former primary. What a server is told until then may be
   * forgotten with the writes of the former primary.
   */
  get isUnderWay(): boolean {
    return this.hasBegun && !(this.switched && this.#states.areAfter(this.#formerReign));
  }

  /** Watches until the signal aborts. Never rejects. */
  async run(primary: HostPort, formerReign: string, signal: AbortSignal): Promise<void> {
    this.#formerReign = formerReign;
    const { sentinels, servers, clock, timeline } = this.#options;
    const news = {
      switched: (by: HostPort, from: string, to: string): void => {
        if (this.#switches.some((known) => known.to === to)) return; // The other Sentinels say the same later.
        this.#switches.push({ atMs: clock.monotonicMs(), from, to });
        timeline.say('sentinel', `${formatHostPort(by)}: +switch-master from ${from} to ${to}`);
      },
      failoverFlag: (by: HostPort, isInProgress: boolean): void => {
        const what = isInProgress ? 'failover in progress' : 'failover no longer in progress';
        timeline.say('sentinel', `${formatHostPort(by)}: ${what}`);
      },
    };
    const changed = (server: string, state: ServerState, before: ServerState | undefined): void => {
      if (before) timeline.say(server, changeOf(state, before));
    };
    await Promise.all([sentinels.watch(primary, news, signal), this.#states.watch(servers, changed, signal)]);
  }

  /** Whether every server grants under another reign, and callers have felt it. Remembers since when. */
  areGrantsBack(record: CanaryRecord, begunMs: number): boolean {
    const switchedMs = this.switched?.atMs;
    if (switchedMs === undefined || !this.#states.allGrantAfter(this.#formerReign)) return false;
    const nowMs = this.#options.clock.monotonicMs();
    const pausing = longestGap(record.grants, begunMs, nowMs);
    if (pausing.untilMs >= nowMs || pausing.untilMs <= switchedMs) return false;
    this.#grantsBackMs = pausing.untilMs;
    return true;
  }

  /** Who has no grants yet, for people. */
  get missing(): string {
    const servers = this.#states.notGrantingAfter(this.#formerReign);
    return servers.length === 0 ? 'the callers of the drill got none' : `${servers.join(', ')} gave none`;
  }

  /** For somebody whose drill has ended early. */
  describe(): string {
    const { clock, masterName } = this.#options;
    const last = this.lastSwitched;
    if (last && this.#states.allGrantAfter(this.#formerReign)) {
      return `The failover to ${last.to} is over: all servers grant.`;
    }
    if (last) {
      const leftMs = this.quarantineMs();
      const until =
        leftMs > 0 ? `nothing new is granted for another ${inSeconds(leftMs)}` : 'grants should be back soon';
      return `The failover to ${last.to} goes on without the drill: ${until} ("leasehold info" tells).`;
    }
    if (this.askedAtMs === undefined) return 'The drill has caused no failover.';
    const agoMs = clock.monotonicMs() - this.askedAtMs;
    return (
      `SENTINEL FAILOVER was sent ${inSeconds(agoMs)} ago, and no Sentinel has named another primary yet. ` +
      `The Sentinels go on by themselves: ask one of them with SENTINEL MASTER ${masterName}.`
    );
  }
}

function changeOf(state: ServerState, before: ServerState): string {
  if (!state.serving) return state.isSilent ? 'does not answer' : 'has no usable primary';
  const reign = state.reign === before.reign ? '' : 'a new reign: ';
  if (state.quarantineMs > 0) return `${reign}quarantine, nothing new for ${inSeconds(state.quarantineMs)}`;
  return `${reign}grants`;
}
