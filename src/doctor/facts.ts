// What is known of a deployment before anything is judged. gather-facts.ts fills it, from Redis, the Sentinels and the
// files; a test can make one up. Each fact that could not be learned says why.

import type { Config, RedisConfig } from '../config/config.ts';
import type { SentinelView } from '../deployment/topology.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { Judgement } from './examination.ts';

/** Something that was looked at. `unseen` is the reason, in the words of Redis or of the network. */
export type Look<T> = { readonly seen: T } | { readonly unseen: string };

/** Fields of INFO, settings of CONFIG GET, fields of a hash. */
export type Fields = ReadonlyMap<string, string>;

export interface LatencyEvent {
  readonly event: string;
  readonly latestMs: number;
  readonly maxMs: number;
}

export interface ClockSample {
  /** The node's clock minus the clock here. */
  readonly offsetMs: number;
  /** Half of the round trip: the offset is right to within this. */
  readonly uncertaintyMs: number;
}

export interface RedisNodeFacts {
  readonly address: HostPort;
  /** What the Sentinels take it for. */
  readonly role: 'primary' | 'replica';
  /** It runs on the machine that examines it, as far as its address tells. */
  readonly isHere: boolean;
  /** Milliseconds to connect and log in. */
  readonly reach: Look<number>;
  readonly info: Look<Fields>;
  /** Those of SETTINGS_READ. */
  readonly settings: Look<Fields>;
  /** Milliseconds of some commands in a row, each sent when the one before was answered. */
  readonly roundTripsMs: Look<readonly number[]>;
  readonly clock: Look<ClockSample>;
  readonly latency: Look<readonly LatencyEvent[]>;
  /** Rights that an instance needs and this user lacks here. */
  readonly lackingRights: Look<readonly string[]>;
}

export interface SentinelFacts {
  readonly address: HostPort;
  readonly view: Look<SentinelView>;
  readonly info: Look<Fields>;
  /** What SENTINEL CKQUORUM answers: it begins with OK or NOQUORUM. */
  readonly quorumCheck: Look<string>;
  /** An instance hears of switches by this channel. */
  readonly subscription: Look<true>;
}

/** An address that Sentinels tell others and that the configuration doesn't list. */
export interface AnnouncedAddress {
  readonly address: HostPort;
  readonly reach: Look<number>;
}

export interface CertificateFacts {
  /** The key of the setting that names the file, or `host:port` of who presented it. */
  readonly subject: string;
  readonly what: string;
  /** When the first certificate in it expires, in milliseconds since 1970. */
  readonly expiresAtMs: Look<number>;
}

export interface HostFacts {
  /** `always`, `madvise` or `never`. */
  readonly transparentHugePages: Look<string>;
  /** vm.overcommit_memory: 0, 1 or 2. */
  readonly overcommitMemory: Look<string>;
}

export interface Facts {
  readonly nowMs: number;
  /** The node that most Sentinels name; undefined if none could say. */
  readonly primary: HostPort | undefined;
  readonly nodes: readonly RedisNodeFacts[];
  /** Those of the configuration; empty for a single Redis. */
  readonly sentinels: readonly SentinelFacts[];
  readonly announcedSentinels: readonly AnnouncedAddress[];
  /** What the deployment has recorded about itself; no fields if it never granted anything. */
  readonly meta: Look<Fields>;
  /** The registry of the roll call: the entries of all instances by their ids. */
  readonly instances: Look<Fields>;
  readonly certificates: readonly CertificateFacts[];
  readonly host: HostFacts;
}

/** What a check looks at. */
export interface Examined {
  readonly config: Config;
  readonly redis: RedisConfig;
  readonly facts: Facts;
}

export interface Check {
  /** In kebab-case; docs/doctor.md lists it. */
  readonly name: string;
  /** What it looks at, for the list in docs/doctor.md. */
  readonly about: string;
  /**
   * One judgement for each subject, `ok` ones too. None for what doesn't apply, and for what could not be looked at:
   * the check `rights-to-look`, or the one about who can be reached, has said that already.
   */
  judge(examined: Examined): readonly Judgement[];
}

/** The settings that are read by CONFIG GET. None of them is a secret. */
export const SETTINGS_READ = [
  'aclfile',
  'appendfsync',
  'appendonly',
  'disable-thp',
  'hash-max-listpack-entries',
  'hash-max-listpack-value',
  'latency-monitor-threshold',
  'maxmemory',
  'maxmemory-policy',
  'min-replicas-max-lag',
  'min-replicas-to-write',
  'repl-backlog-size',
  'repl-backlog-ttl',
  'replica-priority',
  'save',
  'stop-writes-on-bgsave-error',
] as const;

export function seenOf<T>(look: Look<T>): T | undefined {
  return 'seen' in look ? look.seen : undefined;
}
