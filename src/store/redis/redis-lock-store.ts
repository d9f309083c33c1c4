// The lock store on Redis: turns each command into one script call, and the script's words into outcomes. Decides
// nothing itself: the scripts decide atomically, and the lane decides which answers a caller gets.

import { CoordinationError } from '../../domain/errors.ts';
import { LIMITS } from '../../domain/limits.ts';
import type {
  AcquireOutcome,
  ConfirmOutcome,
  ForceReleaseOutcome,
  Granted,
  Lease,
  LockView,
  ReleaseOutcome,
  RenewOutcome,
} from '../../domain/lock.ts';
import type {
  AcquireCommand,
  AcquisitionRef,
  ChangeNotice,
  ConfirmCommand,
  ForceReleaseCommand,
  LeaveCommand,
  ListQuery,
  LockPage,
  LockStore,
  Notice,
  Offer,
  RenewCommand,
  StoreBound,
} from '../lock-store.ts';
import type { ChangeFeed, Extension } from './change-feed.ts';
import type { Answer, CommandLane, Note } from './command-lane.ts';
import {
  aboutText,
  acquireArguments,
  confirmArguments,
  microseconds,
  renewArguments,
  stampText,
} from './lock-arguments.ts';
import { listLocks, MOST_SORTED } from './lock-listing.ts';
import { milliseconds, readContention, readViews } from './lock-replies.ts';
import type { PrimaryKeeper } from './primary-keeper.ts';
import type { ScriptName } from './scripts.ts';
import { noteGrants, noteLeave, noteRelease, type ToldParts, ToldRenewals } from './told-answers.ts';

/** When to ask again in a quarantine that a roll call may end. */
const ASK_AGAIN_MS = 2_000;

export interface RedisLockStoreOptions {
  readonly lane: CommandLane;
  readonly keeper: PrimaryKeeper;
  readonly changes: ChangeFeed;
  readonly instanceId: string;
}

export class RedisLockStore implements LockStore {
  readonly #lane: CommandLane;
  readonly #keeper: PrimaryKeeper;
  readonly #changes: ChangeFeed;
  readonly #instanceId: string;
  /** Undefined where nobody calls the roll. */
  readonly #told: ToldParts | undefined;
  readonly #listeners = new Set<(notice: Notice) => void>();

  constructor({ lane, keeper, changes, instanceId }: RedisLockStoreOptions) {
    this.#lane = lane;
    this.#keeper = keeper;
    this.#changes = changes;
    this.#instanceId = instanceId;
    this.#told = keeper.rollCall;
  }

  async acquire(command: AcquireCommand, bound: StoreBound): Promise<AcquireOutcome> {
    const { spec } = command;
    const about = aboutText(spec);
    const note = noteGrants(this.#told?.told, spec, about);
    const answer = await this.#run('acquire-lock', acquireArguments(command, about), bound, note);
    const [word, , ...rest] = answer.reply;
    switch (word) {
      case 'granted':
      case 'repeated':
        return this.#granted(spec, answer);
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

  async confirm(command: ConfirmCommand, bound: StoreBound): Promise<ConfirmOutcome> {
    const { spec } = command;
    const note = noteGrants(this.#told?.told, spec, aboutText(spec));
    const answer = await this.#run('confirm-offer', confirmArguments(command), bound, note);
    const [word] = answer.reply;
    if (word === 'granted' || word === 'repeated') return this.#granted(spec, answer);
    if (word === 'gone') return { kind: 'gone' };
    throw new Error(`confirm-offer: unexpected reply ${word}`);
  }

  async leave(command: LeaveCommand, bound: StoreBound): Promise<boolean> {
    const { resource, leaseId, stamp, keepPlaceMs, giveBack } = command;
    const keep = microseconds(keepPlaceMs);
    const args = [resource, leaseId, stampText(stamp), keep, giveBack ? '1' : '0'];
    const note = noteLeave(this.#told, resource, leaseId);
    const answer = await this.#run('leave-queue', args, bound, note);
    return answer.reply[0] === 'left';
  }

  async renew(commands: readonly RenewCommand[], bound: StoreBound): Promise<readonly RenewOutcome[]> {
    const told = this.#told && new ToldRenewals(this.#told.told, commands);
    const args = commands.flatMap((command, index) =>
      renewArguments(command, told?.asksText(index) ?? false),
    );
    const answer = await this.#run('renew-locks', args, bound, told?.note);
    const words = answer.reply[2]?.split(' ') ?? [];
    return commands.map((command, index) => {
      const word = words[2 * index];
      if (word === 'renewed' || word === 'final') {
        const lease = this.#lease(command, answer, command.fencingToken, words[2 * index + 1]);
        return { kind: 'renewed', lease, isFinal: word === 'final' };
      }
      if (word === 'lost' || word === 'unknown' || word === 'moved' || word === 'revoked')
        return { kind: word };
      throw new Error(`renew-locks: unexpected reply ${word}`);
    });
  }

  async release({ resource, leaseId }: AcquisitionRef, bound: StoreBound): Promise<ReleaseOutcome> {
    const note = noteRelease(this.#told, resource, leaseId);
    const answer = await this.#run('release-lock', [resource, leaseId], bound, note);
    const [word, , held, end] = answer.reply;
    if (word === 'released') return { kind: word, heldMs: milliseconds(held), wasOver: end === 'over' };
    if (word === 'lapsed') return { kind: word, heldMs: milliseconds(held) };
    if (word === 'dequeued' || word === 'absent') return { kind: word };
    throw new Error(`release-lock: unexpected reply ${word}`);
  }

  async forceRelease(command: ForceReleaseCommand, bound: StoreBound): Promise<ForceReleaseOutcome> {
    const { resource, fencingToken, immediate } = command;
    const args = [resource, fencingToken?.toString() ?? '', immediate ? '1' : '0'];
    const answer = await this.#run('force-release', args, bound);
    const [word, , count, freeIn, held = ''] = answer.reply;
    if (word !== 'forced') throw new Error(`force-release: unexpected reply ${word}`);
    const heldMs = held === '' ? [] : held.split(' ').map(milliseconds);
    return { count: Number(count), freeInMs: milliseconds(freeIn), heldMs };
  }

  async advance(resource: string, bound: StoreBound): Promise<void> {
    await this.#run('advance-queue', [resource], bound);
  }

  async checkFencingToken(resource: string, fencingToken: bigint, bound: StoreBound): Promise<boolean> {
    const args = [resource, fencingToken.toString()];
    const answer = await this.#run('check-fencing-token', args, bound);
    const [word, , left] = answer.reply;
    if (word === 'quarantined') {
      const message =
        'another primary may have granted the lock since; nothing is sure before the quarantine ends';
      throw new CoordinationError('QUARANTINE', message, {
        retryAfterMs: Math.min(milliseconds(left), ASK_AGAIN_MS),
      });
    }
    return word === 'valid';
  }

  async get(resource: string, bound: StoreBound): Promise<LockView> {
    const [view] = await this.#read([resource], LIMITS.listedPerLock, Number.MAX_SAFE_INTEGER, bound);
    if (!view) throw new Error('get-lock: nothing about the resource');
    return view;
  }

  getMany(resources: readonly string[], bound: StoreBound): Promise<readonly LockView[]> {
    return this.#read(resources, LIMITS.listedPerPagedLock, MOST_SORTED, bound);
  }

  async #read(
    resources: readonly string[],
    most: number,
    mostSorted: number,
    bound: StoreBound,
  ): Promise<readonly LockView[]> {
    const args = [String(most), String(mostSorted), ...resources];
    const answer = await this.#run('get-lock', args, bound);
    const [word, , ...views] = answer.reply;
    if (word !== 'locks') throw new Error(`get-lock: unexpected reply ${word}`);
    return readViews(views);
  }

  list(query: ListQuery, bound: StoreBound): Promise<LockPage> {
    return listLocks(async (args) => (await this.#run('list-locks', args, bound)).reply, query);
  }

  watchChanges(listener: (notice: ChangeNotice) => void): () => void {
    return this.#changes.listen((notice) => {
      if (notice.kind !== 'operation' && notice.kind !== 'claimable') listener(notice);
    });
  }

  /** Makes scripts tell of changes for `aheadMs` from now on, and leaves `mark` at once. Answers on the lease clock. */
  async extendWatch(aheadMs: number, mark: string, bound: StoreBound): Promise<Extension> {
    const answer = await this.#run('watch-changes', [microseconds(aheadMs), mark], bound);
    const [, , now, until] = answer.reply;
    return { nowMs: milliseconds(now), watchedUntilMs: milliseconds(until) };
  }

  async refresh(bound: StoreBound): Promise<readonly Offer[]> {
    const answer = await this.#run('refresh-instance', [this.#instanceId], bound);
    const [, , wasAbsent, ...offers] = answer.reply;
    if (wasAbsent !== '0') this.#notify({ kind: 'resync' });
    return offers.map(readOffer);
  }

  onNotice(listener: (notice: Notice) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A message on this instance's channel: "word lease_id call number resource". */
  heard(message: string): void {
    const [, word, leaseId = '', callNumber, number, resource = ''] =
      /^(\S+) (\S+) (\d+) (\d+) (.*)$/s.exec(message) ?? [];
    const about = { acquisition: { resource, leaseId }, callNumber: Number(callNumber) };
    switch (word) {
      case 'offered':
      case 'moved':
        this.#notify({ kind: word, ...about });
        break;
      case 'released':
      case 'revoked':
        this.#told?.told[word](resource, leaseId, `${this.#instanceId}/${callNumber}`);
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

  /** Messages may have been lost, or the primary is another one. */
  resync(): void {
    this.#notify({ kind: 'resync' });
  }

  #notify(notice: Notice): void {
    for (const listener of this.#listeners) listener(notice);
  }

  #run(name: ScriptName, args: readonly string[], bound: StoreBound, note?: Note): Promise<Answer> {
    return this.#lane.run(name, args, bound, note);
  }

  #granted(of: AcquisitionRef, answer: Answer): Granted {
    const [word, , token, remaining, limit, , , took] = answer.reply;
    if (token === undefined) throw new Error('a lease without token');
    const bare = this.#lease(of, answer, BigInt(token), remaining);
    const lease = limit === '0' ? bare : { ...bare, permitsLimit: Number(limit) };
    const granted = { kind: 'granted', lease, isRepeat: word === 'repeated' } as const;
    return took === undefined ? granted : { ...granted, handoverMs: milliseconds(took) };
  }

  #lease(
    { resource, leaseId }: AcquisitionRef,
    { reply, askedAtMs, replicas }: Answer,
    fencingToken: bigint,
    remaining: string | undefined,
  ): Lease {
    if (remaining === undefined) throw new Error('a lease without deadline');
    this.#keeper.sawToken(Number(fencingToken));
    const remainingMs = milliseconds(remaining);
    const deadlineMs = askedAtMs + remainingMs;
    const expiresAtWallMs = milliseconds(reply[1]) + remainingMs;
    const lease = { resource, leaseId, fencingToken, deadlineMs, expiresAtWallMs };
    return replicas > 0 ? { ...lease, replicas } : lease;
  }
}

/** "lease_id call resource": the resource may hold spaces. */
function readOffer(text: string): Offer {
  const [, leaseId = '', callNumber, resource = ''] = /^(\S+) (\d+) (.*)$/s.exec(text) ?? [];
  return { acquisition: { resource, leaseId }, callNumber: Number(callNumber) };
}
