// The scripts of the roll call, run one by one by instances that a test plays itself, on virtual time. A promoted
// replica is a copy of the primary's keys under another prefix, as old as the test wants it, with a config epoch of its
// own.
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import {
  FORMER_SCHEMA,
  LAPSED_AFTER_ADOPTION_MS,
  newcomerWaitMs,
  quarantineMs,
  SCHEMA_VERSION,
} from '../../src/domain/safety.ts';
import { BUCKETS, type Keys, keysFor } from '../../src/store/redis/keys.ts';
import type { ScriptName } from '../../src/store/redis/scripts.ts';
import { scriptsOnVirtualTime, virtualTimeKey } from './virtual-time.ts';

const MAX_TTL_MS = 30_000;
const START_MS = 1_700_000_000_000;
const NEVER_LATE = Number.MAX_SAFE_INTEGER;
const SCRIPTS = scriptsOnVirtualTime();

export interface PutBack {
  readonly resource: string;
  readonly leaseId: string;
  /** As the script recorded it. */
  readonly text: string;
  /** 0: only its min_hold goes on. */
  readonly leftMs: number;
  /** 0: none. */
  readonly ceilingLeftMs?: number;
  readonly holdLeftMs?: number;
}

interface Released {
  readonly resource: string;
  readonly leaseId: string;
  readonly token: string;
}

interface Answered {
  readonly complete?: boolean;
  readonly fresh?: boolean;
  readonly seenToken?: number;
  readonly leases?: readonly PutBack[];
  readonly released?: readonly Released[];
}

interface Asked {
  readonly mode?: string;
  readonly ttlMs?: number;
  readonly minHoldMs?: number;
  readonly mayWait?: boolean;
  readonly call?: number;
}

/** The data of one primary. */
export class ScriptedReign {
  readonly #redis: Redis;
  readonly #keys: Keys;
  readonly #time: { nowMs: number };
  readonly #configEpoch: number;
  #reign = '';

  private constructor(redis: Redis, time: { nowMs: number }, configEpoch: number) {
    this.#redis = redis;
    this.#time = time;
    this.#configEpoch = configEpoch;
    this.#keys = keysFor(`t-${randomUUID()}:`);
  }

  /** A new deployment, with these instances in its registry, which have told and ticked. Its first seconds are over. */
  static async begin(redis: Redis, ...instances: readonly string[]): Promise<ScriptedReign> {
    const first = new ScriptedReign(redis, { nowMs: START_MS }, 1);
    await first.adopt();
    for (const instance of instances) {
      await first.register(instance);
      await first.tick(instance);
    }
    first.pass(1_000);
    return first;
  }

  /** A new deployment in its first minute, in which newcomers tell at once. */
  static async beginYoung(redis: Redis, ...instances: readonly string[]): Promise<ScriptedReign> {
    const first = new ScriptedReign(redis, { nowMs: START_MS }, 1);
    await first.adopt(60_000);
    for (const instance of instances) {
      await first.register(instance);
      await first.tick(instance);
    }
    return first;
  }

  /** What a replica has that is as far as this now. */
  async copy(): Promise<ScriptedReign> {
    const copy = new ScriptedReign(this.#redis, this.#time, this.#configEpoch + 1);
    for (const key of await this.#redis.keys(`${this.#keys.bucket.replace(/[{}]/g, '?')}*`)) {
      await this.#redis.copy(key, copy.#keys.bucket + key.slice(this.#keys.bucket.length));
    }
    return copy;
  }

  /** This replica is promoted, and adopted. */
  async promoted(): Promise<ScriptedReign> {
    const next = await this.copy();
    await next.adopt();
    return next;
  }

  /** The system clock moves, forwards or back. */
  pass(ms: number): void {
    this.#time.nowMs += ms;
  }

  async adopt(warmMs = 0): Promise<void> {
    const reply = await this.#eval('adopt-reign', [
      this.#configEpoch,
      NEVER_LATE,
      SCHEMA_VERSION,
      us(MAX_TTL_MS),
      BUCKETS,
      us(quarantineMs(MAX_TTL_MS)),
      us(LAPSED_AFTER_ADOPTION_MS),
      0,
      'new',
      FORMER_SCHEMA,
      'on',
      us(warmMs),
    ]);
    if (reply[0] !== 'adopted') throw new Error(`adopt-reign: ${reply.join(' ')}`);
    this.#reign = reply[2] ?? '';
  }

  /** Any script, by a caller. */
  run(name: ScriptName, caller: string, ...args: readonly (string | number)[]): Promise<readonly string[]> {
    return this.#eval(name, [this.#reign, NEVER_LATE, caller, ...args]);
  }

  register(instance: string): Promise<readonly string[]> {
    return this.run('register-instance', instance, `host-of-${instance}`, us(newcomerWaitMs(MAX_TTL_MS)));
  }

  tick(instance: string, keptMs = 50_000): Promise<readonly string[]> {
    const { nowMs } = this.#time;
    return this.run('tick-clock', instance, 100, us(60_000), 'x', 'y', nowMs, nowMs, us(keptMs));
  }

  /** Time in which this instance ticks every second. */
  async passTicked(ms: number, instance: string, keptMs?: number): Promise<void> {
    for (let left = ms; left > 0; left -= 1_000) {
      this.pass(Math.min(left, 1_000));
      await this.tick(instance, keptMs);
    }
  }

  /** Returns how long the quarantine lasts still, and how many have not answered. */
  async answer(
    instance: string,
    { complete = true, fresh = true, seenToken = 0, leases = [], released = [] }: Answered = {},
  ): Promise<{
    readonly leftMs: number;
    readonly owing: number;
    readonly putBack: number;
    readonly freed: number;
  }> {
    const told = leases.flatMap(({ resource, leaseId, text, leftMs, ceilingLeftMs = 0, holdLeftMs = 0 }) => {
      const spans = `${us(leftMs)} ${us(ceilingLeftMs)} ${us(holdLeftMs)} 1 0`;
      return [resource, leaseId, text, '[]', spans];
    });
    const ended = released.flatMap(({ resource, leaseId, token }) => [
      resource,
      leaseId,
      `released ${token}`,
      '',
      '',
    ]);
    const head = [complete ? 1 : 0, fresh ? 1 : 0, seenToken];
    const reply = await this.run('answer-roll-call', instance, ...head, ...told, ...ended);
    if (reply[0] !== 'answered') throw new Error(`answer-roll-call: ${reply.join(' ')}`);
    const [leftMs = 0, owing = 0, putBack = 0, freed = 0] = reply.slice(3).map(Number);
    return { leftMs: leftMs / 1_000, owing, putBack, freed };
  }

  /** A reply that grants ends with the lease as it is recorded. */
  acquire(
    instance: string,
    resource: string,
    leaseId: string,
    { mode = 'exclusive', ttlMs = 20_000, minHoldMs = 0, mayWait = false, call = 2 }: Asked = {},
  ): Promise<readonly string[]> {
    const about = [us(ttlMs), us(minHoldMs), 0, '[]', mayWait ? 1 : 0, 100, 0];
    return this.run('acquire-lock', instance, resource, leaseId, `${instance}/${call}`, mode, ...about);
  }

  /** Returns the word, and how long the holder can count on the lease, in milliseconds. */
  async renew(
    instance: string,
    resource: string,
    leaseId: string,
    token: string,
    { ttlMs = 0, how = 'keep' }: { readonly ttlMs?: number; readonly how?: 'keep' | 'look' } = {},
  ): Promise<readonly [word: string, leftMs: number]> {
    const reply = await this.run(
      'renew-locks',
      instance,
      resource,
      `${leaseId} ${token}  ${how} ${us(ttlMs)}`,
    );
    if (reply[0] !== 'renewed') return [reply[0] ?? '', 0];
    const [word = '', left] = (reply[2] ?? '').split(' ');
    return [word, Number(left) / 1_000];
  }

  async instances(): Promise<readonly string[]> {
    return (await this.#redis.hkeys(`${this.#keys.bucket}instances`)).sort();
  }

  /** The names of its keys, as they go on behind the bucket's prefix. */
  async keys(): Promise<readonly string[]> {
    const { bucket } = this.#keys;
    const keys = await this.#redis.keys(`${bucket.replace(/[{}]/g, '?')}*`);
    return keys.map((key) => key.slice(bucket.length));
  }

  /** How many releases are remembered for the instances that have not answered. */
  releases(): Promise<number> {
    return this.#redis.hlen(`${this.#keys.bucket}released`);
  }

  async clockMs(): Promise<number> {
    return Number(await this.#redis.hget(this.#keys.meta, 'clock')) / 1_000;
  }

  async #eval(name: ScriptName, args: readonly (string | number)[]): Promise<readonly string[]> {
    await this.#redis.hset(virtualTimeKey(this.#keys.meta), 'us', us(this.#time.nowMs));
    const reply = await this.#redis.eval(SCRIPTS[name].source, 1, this.#keys.meta, ...args);
    return (Array.isArray(reply) ? reply : [reply]).map(String);
  }
}

/** The lease that a reply granted, to be put back: its token, and how it is recorded. */
export function grantedBy(reply: readonly string[]): { readonly token: string; readonly text: string } {
  const [word, , token = '', , , , text = ''] = reply;
  if (word !== 'granted' && word !== 'repeated') throw new Error(`not granted: ${reply.join(' ')}`);
  return { token, text };
}

function us(ms: number): string {
  return String(Math.round(ms * 1_000));
}
