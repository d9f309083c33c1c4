// The lock store on Redis: turns each operation into one script call, and the script's words into outcomes.
// Decides nothing itself; the scripts decide atomically, the lane decides what may be told.

import { LIMITS } from '../../domain/limits.ts';
import type {
  AcquireOutcome,
  CallStamp,
  ConfirmOutcome,
  Contention,
  ForceReleaseOutcome,
  Holder,
  Lease,
  LeaseSpec,
  LockView,
  Mode,
  ReleaseOutcome,
  RenewOutcome,
  Waiter,
} from '../../domain/lock.ts';
import { leaseIdHash } from '../../domain/lock.ts';
import { SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';
import type {
  AcquisitionRef,
  Claim,
  ForceReleaseCommand,
  LeaveCommand,
  LockStore,
  Notice,
  RenewCommand,
  StoreCall,
} from '../lock-store.ts';
import type { Answer, CommandLane } from './command-lane.ts';
import type { Keys } from './keys.ts';
import type { PrimaryKeeper } from './primary-keeper.ts';

const SKEW_US = microseconds(SKEW_ALLOWANCE_MS);

export interface RedisLockStoreOptions {
  readonly lane: CommandLane;
  readonly keeper: PrimaryKeeper;
  readonly keys: Keys;
  readonly instanceId: string;
  readonly maxTtlMs: number;
}

export class RedisLockStore implements LockStore {
  readonly #lane: CommandLane;
  readonly #keeper: PrimaryKeeper;
  readonly #keys: readonly string[];
  readonly #instanceId: string;
  readonly #maxTtlUs: string;
  readonly #listeners = new Set<(notice: Notice) => void>();

  constructor({ lane, keeper, keys, instanceId, maxTtlMs }: RedisLockStoreOptions) {
    this.#maxTtlUs = microseconds(maxTtlMs);
    this.#lane = lane;
    this.#keeper = keeper;
    this.#keys = [keys.meta];
    this.#instanceId = instanceId;
  }

  async acquire(
    spec: LeaseSpec,
    stamp: CallStamp,
    mayWait: boolean,
    call: StoreCall,
    again = false,
  ): Promise<AcquireOutcome> {
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
      mayWait ? '1' : '0',
      String(LIMITS.waitersPerResource),
      again ? '1' : '0',
    ];
    const answer = await this.#lane.run('acquire-lock', this.#keys, args, call);
    const [word, , ...rest] = answer.reply;
    switch (word) {
      case 'granted':
        return { kind: 'granted', lease: this.#lease(spec, answer, rest) };
      case 'queued':
        return { kind: 'queued', position: Number(rest[0]), blockedForMs: milliseconds(rest[1]) };
      case 'held':
      case 'ahead':
      case 'min-hold':
        return { kind: 'contended', contention: readContention(spec.resource, word, rest) };
      case 'quarantined':
        return { kind: 'quarantined', retryAfterMs: milliseconds(rest[0]) };
      case 'reused':
      case 'moved':
      case 'revoked':
      case 'full':
        return { kind: word };
      default:
        throw new Error(`acquire-lock: unexpected reply ${word}`);
    }
  }

  async confirm(spec: LeaseSpec, stamp: CallStamp, call: StoreCall): Promise<ConfirmOutcome> {
    const args = [
      SKEW_US,
      spec.resource,
      spec.leaseId,
      stampText(stamp),
      microseconds(spec.ttlMs),
      microseconds(spec.minHoldMs),
      microseconds(spec.maxHoldMs),
    ];
    const answer = await this.#lane.run('confirm-claim', this.#keys, args, call);
    const [word, , ...rest] = answer.reply;
    if (word === 'granted') return { kind: 'granted', lease: this.#lease(spec, answer, rest) };
    if (word === 'gone') return { kind: 'gone' };
    throw new Error(`confirm-claim: unexpected reply ${word}`);
  }

  async leave(command: LeaveCommand, call: StoreCall): Promise<boolean> {
    const { resource, leaseId, stamp, keepPlaceMs, giveBack } = command;
    const keep = microseconds(keepPlaceMs);
    const args = [SKEW_US, resource, leaseId, stampText(stamp), keep, giveBack ? '1' : '0'];
    const answer = await this.#lane.run('leave-queue', this.#keys, args, call);
    return answer.reply[0] === 'left';
  }

  async renew(commands: readonly RenewCommand[], call: StoreCall): Promise<readonly RenewOutcome[]> {
    const args = [SKEW_US, this.#maxTtlUs];
    for (const { resource, leaseId, fencingToken, stamp, takesOver, ttlMs } of commands) {
      const by = stamp ? stampText(stamp) : '';
      args.push(resource, leaseId, fencingToken.toString(), by, takesOver ? '1' : '0', microseconds(ttlMs));
    }
    const answer = await this.#lane.run('renew-locks', this.#keys, args, call);
    const words = answer.reply.slice(2);
    return commands.map((command, index) => {
      const [word, ...rest] = words.slice(3 * index, 3 * index + 3);
      if (word === 'renewed' || word === 'final') {
        return { kind: 'renewed', lease: this.#lease(command, answer, rest), isFinal: word === 'final' };
      }
      if (word === 'lost' || word === 'moved' || word === 'revoked') return { kind: word };
      throw new Error(`renew-locks: unexpected reply ${word}`);
    });
  }

  async release({ resource, leaseId }: AcquisitionRef, call: StoreCall): Promise<ReleaseOutcome> {
    const answer = await this.#lane.run('release-lock', this.#keys, [SKEW_US, resource, leaseId], call);
    const [word] = answer.reply;
    if (word === 'released' || word === 'dequeued' || word === 'absent') return { kind: word };
    throw new Error(`release-lock: unexpected reply ${word}`);
  }

  async forceRelease(command: ForceReleaseCommand, call: StoreCall): Promise<ForceReleaseOutcome> {
    const { resource, fencingToken, immediate } = command;
    const args = [SKEW_US, resource, fencingToken?.toString() ?? '', immediate ? '1' : '0'];
    const answer = await this.#lane.run('force-release', this.#keys, args, call);
    const [word, , count, freeIn] = answer.reply;
    if (word !== 'forced') throw new Error(`force-release: unexpected reply ${word}`);
    return { count: Number(count), freeInMs: milliseconds(freeIn) };
  }

  async advance(resource: string, call: StoreCall): Promise<void> {
    await this.#lane.run('advance-queue', this.#keys, [SKEW_US, resource], call);
  }

  async checkFencingToken(resource: string, fencingToken: bigint, call: StoreCall): Promise<boolean> {
    const args = [SKEW_US, resource, fencingToken.toString()];
    const answer = await this.#lane.run('check-fencing-token', this.#keys, args, call);
    return answer.reply[0] === 'valid';
  }

  async get(resource: string, call: StoreCall): Promise<LockView> {
    const args = [SKEW_US, resource, String(LIMITS.listedPerLock)];
    const answer = await this.#lane.run('get-lock', this.#keys, args, call);
    const [word, , minHoldLeft, queueLength, listed, ...rest] = answer.reply;
    if (word !== 'lock') throw new Error(`get-lock: unexpected reply ${word}`);
    const waiterFields = 4 * Number(listed);
    const holders = readHolders(rest.slice(waiterFields));
    return {
      resource,
      holders: holders.toSorted((a, b) => Number(a.fencingToken - b.fencingToken)),
      waiters: readWaiters(rest.slice(0, waiterFields)),
      queueLength: Number(queueLength),
      minHoldRemainingMs: milliseconds(minHoldLeft),
    };
  }

  async refresh(call: StoreCall): Promise<readonly Claim[]> {
    const answer = await this.#lane.run('refresh-instance', this.#keys, [SKEW_US, this.#instanceId], call);
    const [, , wasAbsent, ...claims] = answer.reply;
    if (wasAbsent !== '0') this.#notify({ kind: 'resync' });
    return claims.map(readClaim);
  }

  onNotice(listener: (notice: Notice) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A message on this instance's channel: "word lease_id call number resource". */
  heard(message: string): void {
    const [, word, leaseId = '', call, number, resource = ''] =
      /^(\S+) (\S+) (\d+) (\d+) (.*)$/s.exec(message) ?? [];
    const about = { waiter: { resource, leaseId }, call: Number(call) };
    switch (word) {
      case 'claimed':
      case 'moved':
      case 'released':
      case 'revoked':
        this.#notify({ kind: word, ...about });
        break;
      case 'next':
        this.#notify({ kind: word, ...about, blockedForMs: milliseconds(number) });
        break;
      case 'resync':
        this.resync();
        break;
      default: // of a newer version: what it means is found by the next refresh
    }
  }

  /** Messages may have been missed, or the primary is another one. */
  resync(): void {
    this.#notify({ kind: 'resync' });
  }

  #notify(notice: Notice): void {
    for (const listener of this.#listeners) listener(notice);
  }

  #lease(of: AcquisitionRef, answer: Answer, [token, remaining]: readonly string[]): Lease {
    if (token === undefined || remaining === undefined) throw new Error('a lease without token or deadline');
    this.#keeper.sawToken(Number(token));
    const remainingMs = milliseconds(remaining);
    return {
      resource: of.resource,
      leaseId: of.leaseId,
      fencingToken: BigInt(token),
      deadlineMs: answer.askedAtMs + remainingMs,
      expiresAtWallMs: milliseconds(answer.reply[1]) + remainingMs,
      ...(answer.replicas > 0 ? { replicas: answer.replicas } : {}),
    };
  }
}

/** "lease_id call resource": the resource may hold spaces. */
function readClaim(text: string): Claim {
  const [, leaseId = '', call, resource = ''] = /^(\S+) (\d+) (.*)$/s.exec(text) ?? [];
  return { waiter: { resource, leaseId }, call: Number(call) };
}

function readContention(
  resource: string,
  reason: Contention['reason'],
  [timeLeft, queueLength, ...holders]: readonly string[],
): Contention {
  return {
    resource,
    reason,
    holders: readHolders(holders).toSorted((a, b) => Number(a.fencingToken - b.fencingToken)),
    timeLeftMs: milliseconds(timeLeft),
    queueLength: Number(queueLength),
  };
}

function readWaiters(flat: readonly string[]): readonly Waiter[] {
  const waiters: Waiter[] = [];
  for (let i = 0; i + 3 < flat.length; i += 4) {
    const [about = '', leaseId = '', queuedAt, mode = ''] = flat.slice(i, i + 4);
    waiters.push({
      leaseIdHash: leaseIdHash(leaseId),
      owner: readAbout(about).owner,
      mode: readMode(mode),
      queuedAtWallMs: milliseconds(queuedAt),
    });
  }
  return waiters;
}

function readHolders(flat: readonly string[]): readonly Holder[] {
  const holders: Holder[] = [];
  for (let i = 0; i + 6 < flat.length; i += 7) {
    const [about = '', leaseId = '', token = '', acquired, remaining, mode = '', state] = flat.slice(
      i,
      i + 7,
    );
    const { owner, metadata } = readAbout(about);
    holders.push({
      leaseIdHash: leaseIdHash(leaseId),
      owner,
      mode: readMode(mode),
      fencingToken: BigInt(token),
      acquiredAtWallMs: milliseconds(acquired),
      remainingMs: milliseconds(remaining),
      metadata,
      revoked: state === 'revoked',
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
