// What a reign is called, and how an instance joins the one of a primary: adopt-reign.lua installs it when it is new.
// Owns what this process has seen of its deployment, and says in words why it can't join. primary-keeper.ts decides
// which node is asked, and when.

import { type Clock, within } from '../../domain/clock.ts';
import { FORMER_SCHEMA, newcomerWaitMs, SCHEMA_VERSION } from '../../domain/safety.ts';
import type { StoreObserver } from '../store.ts';
import type { Connection } from './connection.ts';
import { evaluate } from './evaluate-script.ts';
import type { NodeInfo } from './info.ts';
import { BUCKETS, type Keys } from './keys.ts';
import { microseconds } from './lock-arguments.ts';
import { milliseconds } from './lock-replies.ts';
import type { NamedPrimary } from './primary-locator.ts';
import type { Scripts } from './scripts.ts';
import type { TimeSample } from './session.ts';

/** What an adoption installs, and what a node must be like. */
export interface ReignPolicy {
  readonly maxTtlMs: number;
  /** 0 where the operator waived it. */
  readonly quarantineMs: number;
  readonly lapsedAfterMs: number;
  readonly lifeOfOperations: readonly string[]; // arguments of the ticks' script
  /** No lease can exist yet: a first start on empty Redis needs no quarantine. */
  readonly bootstrapNew: boolean;
  readonly rollCall: boolean;
  /** A `maxmemory-policy` that is accepted although it evicts. */
  readonly allowEvictionPolicy?: string | undefined;
}

export interface ReignAdoptionOptions {
  readonly keys: Keys;
  readonly scripts: Scripts;
  readonly clock: Clock;
  readonly observer: StoreObserver;
  readonly policy: ReignPolicy;
}

/** The reign, whether this call or another one installed it; or why the instance can't join it. */
export type Joined =
  | {
      readonly kind: 'joined';
      readonly reign: string;
      readonly epoch: number;
      readonly token: number;
      readonly quarantineLeftMs: number;
      readonly sample: TimeSample;
    }
  | { readonly kind: 'mismatch'; readonly reason: string };

/** Each step on the way to a session gets so long. */
export const STEP_TIMEOUT_MS = 2_000;

export class ReignAdoption {
  readonly #options: ReignAdoptionOptions;
  #seenToken = 0;
  #knowsDeployment = false;
  /** The latest config epoch that a majority named since this process last joined a reign, or that of this reign. */
  #configEpoch = 0;

  constructor(options: ReignAdoptionOptions) {
    this.#options = options;
  }

  /** Remembers the largest token seen, so that an adoption after lost writes starts above it. */
  sawToken(token: number): void {
    if (token > this.#seenToken) this.#seenToken = token;
  }

  /**
   * A majority named a primary under this config epoch. Epochs begin at 0 again when Sentinels are told to forget a
   * primary and to watch it anew. Then the name of a reign may be one that this process, or another, has left.
   */
  sawConfigEpoch(configEpoch: string): void {
    this.#configEpoch = Math.max(this.#configEpoch, Number(configEpoch));
  }

  get seenToken(): number {
    return this.#seenToken;
  }

  /** This process has been part of the deployment, whose last token was this. */
  knowsDeployment(token: number): void {
    this.sawToken(token);
    this.#knowsDeployment = true;
  }

  /** Rejects when the node is no primary any more, or doesn't answer in time. */
  async adopt(connection: Connection, agreed: NamedPrimary, node: NodeInfo): Promise<Joined> {
    const { clock, keys, scripts, policy, observer } = this.#options;
    const time = await connection.callWithin(STEP_TIMEOUT_MS, 'TIME');
    const [seconds, micros] = Array.isArray(time) ? time.map(Number) : [];
    const notAfterUs = Number(seconds) * 1_000_000 + Number(micros) + STEP_TIMEOUT_MS * 1_000;
    const args = [
      agreed.configEpoch,
      notAfterUs,
      SCHEMA_VERSION,
      microseconds(policy.maxTtlMs),
      BUCKETS,
      microseconds(policy.quarantineMs),
      microseconds(policy.lapsedAfterMs),
      this.#seenToken,
      // Only an instance that has never seen this deployment may believe that nobody has: an empty Redis is
      // otherwise one that lost its data, and the leases it forgot are still held. And nobody may believe it of a
      // primary that Sentinels have chosen: the one before it died, and this one may be a replica that never had its
      // data.
      policy.bootstrapNew && !this.#knowsDeployment && agreed.configEpoch === '0' ? 'new' : 'wait',
      FORMER_SCHEMA,
      onOrOff(policy.rollCall),
      microseconds(newcomerWaitMs(policy.maxTtlMs)),
      Number(agreed.configEpoch) < this.#configEpoch ? 'again' : '',
    ];
    const late = (): Error => new Error('adopt-reign: no reply');
    const work = evaluate(connection, scripts['adopt-reign'], [1, keys.meta, ...args]);
    const [word, timeUs, ...rest] = await within(clock, STEP_TIMEOUT_MS, work, late);
    if (word === 'mismatch') {
      const [name = '', found = ''] = rest;
      return { kind: 'mismatch', reason: describeMismatch(name, found) };
    }
    if (word !== 'adopted' && word !== 'current') throw new Error(`adopt-reign: ${word}`);
    this.#configEpoch = Number(agreed.configEpoch);
    const [reign = '', epoch, token, quarantineLeft] = rest;
    const quarantineLeftMs = milliseconds(quarantineLeft);
    if (word === 'adopted') {
      observer.event('warn', 'a new reign begins', {
        primary: agreed.key,
        replid: node.replid,
        quarantineMs: Math.round(quarantineLeftMs),
      });
    }
    const sample = { timeUs: Number(timeUs), atMs: clock.monotonicMs() };
    return { kind: 'joined', reign, epoch: Number(epoch), token: Number(token), quarantineLeftMs, sample };
  }
}

/** Its last part is in it so that switching the roll call begins a new reign, with a quarantine that nothing ends. */
export function reignOf(configEpoch: string | number, replid: string, rollCall: boolean): string {
  return `${configEpoch}:${replid}:${SCHEMA_VERSION}:${onOrOff(rollCall)}`;
}

/** Whether the name, as it is recorded, is this one or that of a reign that began under it again. */
export function isReignOf(name: string, recorded: string): boolean {
  return recorded === name || recorded.startsWith(`${name}:`);
}

/** The config epoch of the Sentinels that a reign's name begins with. */
export function configEpochOf(reign: string): string {
  return reign.slice(0, reign.indexOf(':'));
}

function onOrOff(is: boolean): 'on' | 'off' {
  return is ? 'on' : 'off';
}

/** `name`: the constant of the deployment that is another one than this instance's. */
function describeMismatch(name: string, found: string): string {
  if (name === 'schema') {
    return (
      `the keys in Redis have the layout ${found}, and this version of Leasehold needs ${SCHEMA_VERSION}: ` +
      'use the version of the other instances, or another redis.key_prefix (docs/deployment.md, "Upgrading")'
    );
  }
  if (name === 'roll_call') {
    return (
      "the deployment's redis.roll_call is on, and this instance's is off: switch it off only when all instances " +
      'have ended (docs/configuration.md)'
    );
  }
  const value = name === 'max_ttl' ? `${Number(found) / 1_000} ms` : found;
  return `the deployment's ${name} is ${value}, another one than this instance's`;
}
