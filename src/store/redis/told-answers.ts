// How the answers of the lock and operation stores are noted in told memory: which words of which reply tell of a
// lease. told-memory.ts owns what is kept and merged; command-lane.ts decides before whether an answer may be told.

import type { LeaseSpec } from '../../domain/lock.ts';
import { type AttemptRef, nameOf, type Operation } from '../../domain/operation.ts';
import type { RenewCommand } from '../lock-store.ts';
import type { HeartbeatCommand } from '../operation-store.ts';
import type { Answer, Note } from './command-lane.ts';
import { aboutText } from './lock-arguments.ts';
import { grantedAtUs, milliseconds } from './lock-replies.ts';
import { attemptLeftOf, BEATEN_WORDS } from './operation-replies.ts';
import type { ToldAttempt } from './told-attempts.ts';
import type { ToldEndings } from './told-endings.ts';
import { isRevoked } from './told-lease.ts';
import type { ToldLease, ToldMemory } from './told-memory.ts';

/** Words of one lease whose text was asked for: its index among the commands, the text, and what people are told. */
const TEXT_WORDS = 3;

/** Of acquire-lock and confirm-offer. */
export function noteGrants(told: ToldMemory | undefined, spec: LeaseSpec, about: string): Note | undefined {
  return told && ((answer) => noteGrant(told, spec, about, answer));
}

function noteGrant(told: ToldMemory, spec: LeaseSpec, about: string, answer: Answer): void {
  const { reply, askedAtMs, session } = answer;
  const [word, nowUs, , remaining, , clock, text] = reply;
  if ((word !== 'granted' && word !== 'repeated') || text === undefined) return;
  const { resource, leaseId, minHoldMs } = spec;
  let holdMs = 0;
  if (minHoldMs > 0) {
    // Its min_hold began with the grant, whose answer may have been told to nobody.
    const sinceMs = word === 'granted' ? 0 : (Number(nowUs) - grantedAtUs(text)) / 1_000;
    holdMs = askedAtMs + minHoldMs - Math.max(0, sinceMs);
  }
  told.note({
    resource,
    leaseId,
    text,
    about,
    askedAtMs,
    deadlineMs: askedAtMs + milliseconds(remaining),
    holdMs,
    reign: session.reign,
    clockUs: Number(clock),
  });
}

/** What is remembered of what was told. */
export interface ToldParts {
  readonly told: ToldMemory;
  readonly endings: ToldEndings;
}

/** Of release-lock. */
export function noteRelease(
  parts: ToldParts | undefined,
  resource: string,
  leaseId: string,
): Note | undefined {
  return (
    parts &&
    ((answer) => {
      const [word, nowUs, , , token, clock] = answer.reply;
      if (word === 'released') noteEnding(parts, resource, leaseId, Number(token), clock, answer);
      else if (word !== 'dequeued') parts.told.ended(resource, leaseId, Number(nowUs));
    })
  );
}

/** Of leave-queue, which may give a lease back. */
export function noteLeave(parts: ToldParts | undefined, resource: string, leaseId: string): Note | undefined {
  return (
    parts &&
    ((answer) => {
      const [, , token, clock] = answer.reply;
      if (token !== undefined) noteEnding(parts, resource, leaseId, Number(token), clock, answer);
    })
  );
}

/** `clock`: the lease clock of the script. */
function noteEnding(
  { told, endings }: ToldParts,
  resource: string,
  leaseId: string,
  token: number,
  clock: string | undefined,
  { session: { reign } }: Answer,
): void {
  told.ended(resource, leaseId, token);
  endings.note({ resource, leaseId, token, reign, clockUs: Number(clock) });
}

/**
 * Whether a renewal brings along the lease's text: of one that another instance granted, or whose call it changes. And
 * of one that was revoked here. The interleaving: revoked under a primary whose replica lacks that; the replica takes
 * over, and the holder renews there and is told so. The next roll call must not put the lease back as revoked.
 */
function asksTextOf(known: ToldLease | undefined, takesOver: boolean | undefined): boolean {
  return known === undefined || takesOver === true || isRevoked(known.text);
}

/** One call of renew-locks. What told memory knows when it is made is what it notes then, whatever ends meanwhile. */
export class ToldRenewals {
  readonly #told: ToldMemory;
  readonly #commands: readonly RenewCommand[];
  readonly #known: readonly (ToldLease | undefined)[];

  constructor(told: ToldMemory, commands: readonly RenewCommand[]) {
    this.#told = told;
    this.#commands = commands;
    this.#known = commands.map(({ resource, leaseId, fencingToken }) =>
      told.find(resource, leaseId, Number(fencingToken)),
    );
  }

  asksText(index: number): boolean {
    return asksTextOf(this.#known[index], this.#commands[index]?.takesOver);
  }

  note: Note = ({ reply, askedAtMs, session: { reign } }) => {
    const [, , list = '', clock, ...texts] = reply;
    const words = list.split(' ');
    const clockUs = Number(clock);
    for (let index = 0; index < this.#known.length; index++) {
      const lease = this.#known[index];
      if (!lease) continue;
      const word = words[2 * index];
      if (word === 'renewed' || word === 'final') {
        this.#told.renewed(lease, askedAtMs + milliseconds(words[2 * index + 1]), reign, clockUs);
      } else if (word === 'revoked') {
        this.#told.isRevoked(lease);
      }
      // `lost` ends nothing here: if that answer is lost, too, the holder goes on until the deadline that it was told.
    }
    for (let at = 0; at + TEXT_WORDS <= texts.length; at += TEXT_WORDS) {
      const [index, text = '', about = ''] = texts.slice(at, at + TEXT_WORDS);
      const command = this.#commands[Number(index)];
      if (!command) continue;
      const { resource, leaseId } = command;
      const deadlineMs = askedAtMs + milliseconds(words[2 * Number(index) + 1]);
      this.#told.note({ resource, leaseId, text, about, askedAtMs, deadlineMs, holdMs: 0, reign, clockUs });
    }
  };
}

/** An attempt, and its lease, which is told with it. `left`: what the reply says of its time; '' if there is none. */
export function noteAttempt(
  told: ToldMemory | undefined,
  operation: Operation,
  claimId: string,
  left: string,
  { reply, askedAtMs, session }: Answer,
): void {
  if (!told || left === '') return;
  const { resource, lock, owner, startedAtWallMs, fencingToken, exclusive } = operation;
  const { remainingMs, clockUs, text } = attemptLeftOf(left);
  const { reign } = session;
  const deadlineMs = askedAtMs + remainingMs;
  told.attempts.note({
    name: nameOf(operation),
    claimId,
    token: Number(fencingToken),
    isExclusive: exclusive,
    deadlineMs,
    reign,
    clockUs,
  });
  if (!lock || text === '') return;
  // Its min_hold began with the attempt, whose first answer may have been told to nobody.
  const sinceMs = milliseconds(reply[1]) - (startedAtWallMs ?? 0);
  told.note({
    resource,
    leaseId: claimId,
    text,
    about: aboutText({ owner: lock.owner || owner, metadata: lock.metadata }),
    askedAtMs,
    deadlineMs,
    holdMs: lock.minHoldMs > 0 ? askedAtMs + lock.minHoldMs - Math.max(0, sinceMs) : 0,
    reign,
    clockUs,
  });
}

/**
 * An attempt ended, and with it its lease if `withLease`. By its token: a repeat of the call is answered alike, and its
 * claim may have another attempt by then. `clock`: the lease clock of the script.
 */
export function noteEndOfAttempt(
  parts: ToldParts,
  ended: AttemptRef,
  withLease: boolean,
  clock: string | undefined,
  answer: Answer,
): void {
  const { resource, claimId, fencingToken } = ended;
  const token = Number(fencingToken);
  const attempt = parts.told.attempts.find(nameOf(ended), claimId, token);
  if (attempt) parts.told.attempts.isOver(attempt);
  if (withLease) noteEnding(parts, resource, claimId, token, clock, answer);
}

/** One call of heartbeat-operations: as ToldRenewals. */
export class ToldHeartbeats {
  readonly #told: ToldMemory;
  readonly #commands: readonly HeartbeatCommand[];
  readonly #known: readonly {
    readonly lease: ToldLease | undefined;
    readonly attempt: ToldAttempt | undefined;
  }[];

  constructor(told: ToldMemory, commands: readonly HeartbeatCommand[]) {
    this.#told = told;
    this.#commands = commands;
    this.#known = commands.map((command) => {
      const { resource, claimId, fencingToken } = command;
      const token = Number(fencingToken);
      const attempt = told.attempts.find(nameOf(command), claimId, token);
      return { lease: told.find(resource, claimId, token), attempt };
    });
  }

  asksText(index: number): boolean {
    return asksTextOf(this.#known[index]?.lease, this.#commands[index]?.takesOver);
  }

  note: Note = ({ reply, askedAtMs, session: { reign } }) => {
    for (let index = 0; index < this.#commands.length; index++) {
      const at = 2 + BEATEN_WORDS * index;
      const [word, left = '', leased = ''] = [reply[at], reply[at + 2], reply[at + 5]];
      const [command, known] = [this.#commands[index], this.#known[index]];
      if (!command || !known) continue;
      const { lease, attempt } = known;
      if (word === 'renewed' || word === 'final') {
        const { remainingMs, clockUs, text, about } = attemptLeftOf(left);
        const deadlineMs = askedAtMs + remainingMs;
        const { resource, claimId, fencingToken } = command;
        if (attempt) {
          this.#told.attempts.renewed(attempt, { deadlineMs, reign, clockUs });
        } else {
          const isExclusive = leased.endsWith('x');
          const [name, token] = [nameOf(command), Number(fencingToken)];
          this.#told.attempts.note({ name, claimId, token, isExclusive, deadlineMs, reign, clockUs });
        }
        if (lease) this.#told.renewed(lease, deadlineMs, reign, clockUs);
        if (about === '') continue; // it has no lease, or its text was not asked for
        const told = { resource, leaseId: claimId, text, about, askedAtMs, deadlineMs };
        this.#told.note({ ...told, holdMs: 0, reign, clockUs });
      } else if (attempt && (word === 'finished' || word === 'yielded')) {
        // What its worker itself has ended. Of any other loss it may hear nothing, and go on until its deadline.
        this.#told.attempts.isOver(attempt);
      }
    }
  };
}
