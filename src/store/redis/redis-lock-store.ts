// The lock store on Redis: turns each operation into one script call, and the script's words into outcomes.
// Decides nothing itself; the scripts decide atomically, the lane decides what may be told.

import type {
  AcquireOutcome,
  CallStamp,
  Contention,
  Holder,
  Lease,
  LeaseSpec,
  LockView,
  Mode,
  ReleaseOutcome,
  RenewOutcome,
} from '../../domain/lock.ts';
import { leaseIdHash } from '../../domain/lock.ts';
import { SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';
import type { LockStore, ReleaseCommand, RenewCommand, StoreCall } from '../lock-store.ts';
import type { Answer, CommandLane } from './command-lane.ts';
import type { Keys } from './keys.ts';
import type { PrimaryKeeper } from './primary-keeper.ts';

const SKEW_US = microseconds(SKEW_ALLOWANCE_MS);

export class RedisLockStore implements LockStore {
  readonly #lane: CommandLane;
  readonly #keeper: PrimaryKeeper;
  readonly #keys: Keys;
  readonly #maxTtlUs: string;

  constructor(lane: CommandLane, keeper: PrimaryKeeper, keys: Keys, maxTtlMs: number) {
    this.#maxTtlUs = microseconds(maxTtlMs);
    this.#lane = lane;
    this.#keeper = keeper;
    this.#keys = keys;
  }

  async acquire(spec: LeaseSpec, stamp: CallStamp, call: StoreCall): Promise<AcquireOutcome> {
    const keys = [this.#keys.meta, this.#keys.lock(spec.resource), this.#keys.deadlines];
    const args = [
      SKEW_US,
      spec.resource,
      spec.leaseId,
      stampText(stamp),
      modeText(spec.mode),
      microseconds(spec.ttlMs),
      microseconds(spec.minHoldMs),
      microseconds(spec.maxHoldMs),
      aboutText(spec),
    ];
    const answer = await this.#lane.run('acquire-lock', keys, args, call);
    const [word, , ...rest] = answer.reply;
    switch (word) {
      case 'granted':
        return { kind: 'granted', lease: this.#lease(spec, answer, rest) };
      case 'held': {
        const [timeLeft, ...holder] = rest;
        return {
          kind: 'contended',
          contention: contention(spec.resource, 'held', timeLeft, readHolders(holder)),
        };
      }
      case 'min-hold':
        return { kind: 'contended', contention: contention(spec.resource, 'min-hold', rest[0], []) };
      case 'quarantined':
        return { kind: 'quarantined', retryAfterMs: milliseconds(rest[0]) };
      default:
        throw new Error(`acquire-lock: unexpected reply ${word}`);
    }
  }

  async renew(command: RenewCommand, call: StoreCall): Promise<RenewOutcome> {
    const keys = [this.#keys.meta, this.#keys.lock(command.resource)];
    const stamp = command.stamp ? stampText(command.stamp) : '';
    const token = command.fencingToken.toString();
    const args = [SKEW_US, command.leaseId, token, stamp, microseconds(command.ttlMs), this.#maxTtlUs];
    const answer = await this.#lane.run('renew-lock', keys, args, call);
    const [word, , ...rest] = answer.reply;
    switch (word) {
      case 'renewed':
        return { kind: 'renewed', lease: this.#lease(command, answer, rest) };
      case 'lost':
      case 'moved':
        return { kind: word };
      default:
        throw new Error(`renew-lock: unexpected reply ${word}`);
    }
  }

  async release(command: ReleaseCommand, call: StoreCall): Promise<ReleaseOutcome> {
    const keys = [this.#keys.meta, this.#keys.lock(command.resource), this.#keys.deadlines];
    const answer = await this.#lane.run(
      'release-lock',
      keys,
      [SKEW_US, command.resource, command.leaseId],
      call,
    );
    const [word] = answer.reply;
    if (word === 'released' || word === 'absent') return { kind: word };
    throw new Error(`release-lock: unexpected reply ${word}`);
  }

  async get(resource: string, call: StoreCall): Promise<LockView> {
    const answer = await this.#lane.run(
      'get-lock',
      [this.#keys.meta, this.#keys.lock(resource)],
      [SKEW_US],
      call,
    );
    const [word, , minHoldLeft, ...holders] = answer.reply;
    if (word !== 'lock') throw new Error(`get-lock: unexpected reply ${word}`);
    return { resource, holders: readHolders(holders), minHoldRemainingMs: milliseconds(minHoldLeft) };
  }

  #lease(
    of: { resource: string; leaseId: string },
    answer: Answer,
    [token, remaining]: readonly string[],
  ): Lease {
    if (token === undefined || remaining === undefined) throw new Error('a lease without token or deadline');
    this.#keeper.sawToken(Number(token));
    const remainingMs = milliseconds(remaining);
    return {
      resource: of.resource,
      leaseId: of.leaseId,
      fencingToken: BigInt(token),
      deadlineMs: answer.askedAtMs + remainingMs,
      expiresAtWallMs: milliseconds(answer.reply[1]) + remainingMs,
    };
  }
}

function contention(
  resource: string,
  reason: Contention['reason'],
  timeLeft: string | undefined,
  holders: readonly Holder[],
): Contention {
  return { resource, reason, holders, timeLeftMs: milliseconds(timeLeft) };
}

function readHolders(flat: readonly string[]): readonly Holder[] {
  const holders: Holder[] = [];
  for (let i = 0; i + 5 < flat.length; i += 6) {
    const [about = '', leaseId = '', token = '', acquired, remaining, mode = ''] = flat.slice(i, i + 6);
    const { owner, metadata } = readAbout(about);
    holders.push({
      leaseIdHash: leaseIdHash(leaseId),
      owner,
      mode: readMode(mode),
      fencingToken: BigInt(token),
      acquiredAtWallMs: milliseconds(acquired),
      remainingMs: milliseconds(remaining),
      metadata,
    });
  }
  return holders;
}

// Metadata as pairs, not as an object: `__proto__` is a key like any other.
function aboutText(spec: LeaseSpec): string {
  return JSON.stringify([spec.owner, [...spec.metadata]]);
}

function readAbout(text: string): { owner: string; metadata: ReadonlyMap<string, string> } {
  const [owner, metadata] = JSON.parse(text) as [string, [string, string][]]; // written by aboutText alone
  return { owner, metadata: new Map(metadata) };
}

function modeText(mode: Mode): string {
  return mode.kind === 'permits' ? `permits:${mode.permits}/${mode.limit}` : mode.kind;
}

function readMode(text: string): Mode {
  if (text === 'exclusive' || text === 'shared') return { kind: text };
  const [, permits, limit] = /^permits:(\d+)\/(\d+)$/.exec(text) ?? [];
  if (!permits || !limit) throw new Error(`unknown mode ${text}`);
  return { kind: 'permits', permits: Number(permits), limit: Number(limit) };
}

function stampText(stamp: CallStamp): string {
  return `${stamp.instanceId}/${stamp.call}`;
}

function microseconds(ms: number): string {
  return Math.round(ms * 1_000).toFixed(0);
}

function milliseconds(us: string | undefined): number {
  return Number(us) / 1_000;
}
