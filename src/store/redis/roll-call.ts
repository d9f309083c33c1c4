// This instance's part in the roll call: how it joins a reign (its entry in the registry, what it puts back, its
// answer), and its end. Owns told memory; standing.ts says from when it may tell anything. primary-keeper.ts says when
// a session begins and ticks; the scripts decide what an answer changes.
//
// Read the own entry ──▶ (register) ──▶ nothing is told of another reign ──▶ say what attempts run ──▶ put back in
// batches; the last one is the answer ──▶ the session becomes the one in use, and ticks
//
// Over 300 lines because these steps share what the instance is in a reign.

import type { Clock } from '../../domain/clock.ts';
import type { Identity } from '../../domain/inheritance.ts';
import { awayAtMostMs, freshWithinMs, newcomerWaitMs, SKEW_ALLOWANCE_MS } from '../../domain/safety.ts';
import type { StoreObserver } from '../store.ts';
import { EntryMarks } from './entry-marks.ts';
import type { Reply } from './evaluate-script.ts';
import { microseconds } from './lock-arguments.ts';
import type { PrimaryLocator } from './primary-locator.ts';
import { STEP_TIMEOUT_MS } from './reign.ts';
import { RollCallBatch } from './roll-call-batch.ts';
import type { ScriptName, Scripts } from './scripts.ts';
import type { Session } from './session.ts';
import { Standing } from './standing.ts';
import type { ToldAttempt } from './told-attempts.ts';
import type { Cut } from './told-cut.ts';
import { ToldEndings } from './told-endings.ts';
import { ToldMemory } from './told-memory.ts';

export interface RollCallOptions {
  readonly locator: PrimaryLocator;
  readonly scripts: Scripts;
  readonly clock: Clock;
  /** Milliseconds on the machine's monotonic clock. */
  readonly machineMs: () => number;
  readonly observer: StoreObserver;
  readonly maxTtlMs: number;
  readonly maxToldLeases: number;
  /** For people. */
  readonly hostName: string;
  readonly identity?: Omit<Identity, 'instanceId'> | undefined;
  /** A random id of this run of the process: letters and digits. */
  readonly runId: string;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** The largest token that this process has seen. */
  readonly seenToken: () => number;
}

/** How an instance stands in the reign that it joined last. */
interface Membership {
  readonly reign: string;
  readonly cut: Cut;
  /** The data are so young that an instance which they lack is still a newcomer. */
  readonly isFresh: boolean;
  /** It has answered, but not of all that it told. */
  isIncomplete: boolean;
}

/** One call takes no longer than a millisecond or two of Redis. */
const BATCH_ATTEMPTS = 100;
/** Releases that are remembered, to leases: those that a replica may lag behind. */
const RELEASES_PER_LEASE = 0.25;
const LONGEST_NAME = 64;
const LEAVE_WITHIN_MS = 1_000;
const CONTESTED =
  'another process answers under the id of this one, as after a copy of a running machine: end both, and ' +
  'start anew what is to run';

export class RollCall {
  readonly told: ToldMemory;
  readonly endings: ToldEndings;
  readonly #options: RollCallOptions;
  readonly #standing: Standing;
  /** From here on nothing is told of another reign than this one's. */
  #home: Membership | undefined;
  readonly #memberships = new WeakMap<Session, Membership>();
  readonly #marks: EntryMarks;
  /** What the entry bears, as far as it is known: of a session's node. */
  readonly #borne = new WeakMap<Session, string>();
  #isLeaving = false;
  #isContested = false;
  #putBack = 0;

  constructor(options: RollCallOptions) {
    this.#options = options;
    this.#standing = new Standing(options);
    const { maxToldLeases: maxLeases, maxTtlMs, clock } = options;
    const monotonicMs = (): number => clock.monotonicMs();
    this.#marks = new EntryMarks(options.runId, options.random);
    this.told = new ToldMemory({ maxLeases, monotonicMs });
    this.endings = new ToldEndings({
      most: Math.ceil(maxLeases * RELEASES_PER_LEASE),
      keptMs: maxTtlMs + 2 * SKEW_ALLOWANCE_MS,
      monotonicMs,
    });
  }

  /** Called when this instance may tell again, having been a newcomer. */
  set onTells(listener: () => void) {
    this.#standing.onTells = listener;
  }

  /** For how long this instance tells nothing, because it has just registered. */
  get newcomerRemainingMs(): number {
    return this.#standing.newcomerRemainingMs;
  }

  get isIncomplete(): boolean {
    return this.#standing.lacksWhatWasTold || this.told.incompleteUntilMs > this.#options.clock.monotonicMs();
  }

  /** Leases that this instance has put back so far. */
  get putBack(): number {
    return this.#putBack;
  }

  /**
   * Whether what came on this session, asked at `askedAtMs`, can still be told. The caller notes it in the same
   * synchronous step. The interleaving that this stops: an answer of the former reign waits for the Sentinels or for
   * replicas; the new reign is joined, and its roll call answered without it; then it is told of a lease that nobody
   * puts back.
   *
   * Nor is anything told that was asked longer ago than an instance may be away: a process that was frozen so long has
   * been dropped from the registry meanwhile, and finds the reply in its socket before it hears of that.
   */
  mayTell(session: Session, askedAtMs: number): boolean {
    const { clock, maxTtlMs } = this.#options;
    const nowMs = clock.monotonicMs();
    return (
      !this.#isLeaving &&
      !this.#isContested &&
      this.#home !== undefined &&
      this.#memberships.get(session) === this.#home &&
      this.newcomerRemainingMs === 0 &&
      nowMs - askedAtMs < awayAtMostMs(maxTtlMs)
    );
  }

  /**
   * Why this process can serve no more; '' if it can. For good, since the data of the next primary may lag behind, and
   * bear a mark from before the other process came.
   */
  get mismatch(): string {
    return this.#isContested ? CONTESTED : '';
  }

  /** Why nothing can be asked now, for callers; '' if it can. */
  get refusal(): string {
    if (this.#isLeaving) return 'this instance is about to end';
    const leftMs = this.newcomerRemainingMs;
    if (leftMs === 0) return '';
    const from = new Date(this.#options.clock.wallMs() + leftMs).toISOString();
    return `this instance has just registered and answers from ${from} on`;
  }

  /**
   * Joins the session's reign, before its first tick: a tick would make the own entry look fresh, however old the data
   * are. Resolves with the reply to its answer, if it owed one. Rejects when the session can't be used.
   */
  async join(session: Session): Promise<Reply | undefined> {
    // It would register again, and all would wait for it.
    if (this.#isLeaving) throw new Error('this instance is about to end');
    const [, , , epoch, mono = '', wall = '', entryEpoch = '', fromReign = '', fromClock, mark = ''] =
      await this.#run(session, 'join-reign', 'joined');
    if (mark !== '' && !this.#marks.isOwn(mark) && !this.#standing.mayTakeOver(mark)) {
      this.#isContested = true;
      throw new Error(CONTESTED);
    }
    this.#borne.set(session, mark);
    const isHome = this.#home?.reign === session.reign;
    const isKnown = entryEpoch !== '' && !this.#standing.isRegistering;
    const ageMs = isKnown ? this.#ageOf(mono, wall) : Number.POSITIVE_INFINITY;
    const { maxTtlMs } = this.#options;
    const isNew = !isKnown || (!isHome && ageMs > awayAtMostMs(maxTtlMs));
    if (isNew) await this.#register(session);
    const membership: Membership =
      // Two sessions of one reign are one membership: what came on the first is told while the second is in use.
      isHome && !isNew && this.#home
        ? this.#home
        : {
            reign: session.reign,
            cut: { fromReign, fromClockUs: Number(fromClock), ownReign: session.reign },
            isFresh: !isNew && ageMs <= freshWithinMs(maxTtlMs),
            isIncomplete: false,
          };
    // In this step: nothing that came under another reign is told or noted from here on, so what is put back below is
    // all that was ever told of it.
    this.#home = membership;
    this.told.enters(session.reign);
    this.#memberships.set(session, membership);
    return isNew || entryEpoch !== epoch ? this.#answer(session, membership) : undefined;
  }

  /** What a tick says of this instance: `mono` and `wall`, '' if no majority names this primary under this epoch. */
  asked(session: Session): readonly [mono: string, wall: string] {
    const { locator, clock, machineMs } = this.#options;
    const asked = locator.agreedAt(session.primary);
    if (!asked) return ['', ''];
    const agoMs = clock.monotonicMs() - asked.monotonicMs;
    return [Math.floor(machineMs() - agoMs).toString(), Math.floor(asked.wallMs).toString()];
  }

  /**
   * The mark of the entry from the next tick on, and those that the tick may find there. That is the one that it bears
   * for all that is known, however many ticks were refused since (as by min-replicas-to-write), or one of the last few:
   * their replies may be lost, or they come late on a former connection.
   */
  marks(session: Session): readonly [mark: string, accepted: string] {
    const accepted = [this.#borne.get(session) ?? '', ...this.#marks.recent].join(' ').trim();
    return [this.#marks.next(), accepted];
  }

  /** A tick has written this mark. */
  wrote(session: Session, mark: string): void {
    this.#borne.set(session, mark);
  }

  /** A tick found what somebody else has written under this id. */
  contested(): void {
    this.#isContested = true;
  }

  /** After a tick. Answers once more when this instance remembers all that may still be valid of what it told. */
  async ticked(session: Session): Promise<Reply | undefined> {
    this.told.sweep();
    this.endings.sweep();
    const membership = this.#memberships.get(session);
    if (!membership?.isIncomplete || membership !== this.#home || this.isIncomplete) return undefined;
    return this.#answer(session, membership);
  }

  /**
   * Tells nothing more, and then takes the entry out of the registry, if Redis answers soon. Otherwise a roll call
   * waits for this instance until the entry is dropped.
   */
  async leave(session: Session | undefined): Promise<void> {
    this.#isLeaving = true;
    if (!session || session.over.aborted || this.#memberships.get(session) !== this.#home) return;
    const { scripts, clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + LEAVE_WITHIN_MS;
    try {
      await session.run(scripts['leave-registry'], [], deadlineMs);
    } catch {
      // It is dropped later.
    }
  }

  // The machine's clock stands still while the machine is suspended, and the wall clock may be set back: the data are
  // as old as the older of the two says.
  #ageOf(mono: string, wall: string): number {
    // '-' for never, 'g' for an entry that was made for it.
    if (mono === '' || Number.isNaN(Number(mono))) return Number.POSITIVE_INFINITY;
    const { clock, machineMs } = this.#options;
    return Math.max(machineMs() - Number(mono), clock.wallMs() - Number(wall));
  }

  // A newcomer tells nothing for a while. The interleaving: it registers, grants, and dies; the promoted replica lacks
  // the last two seconds, so that nobody waits for its answer.
  async #register(session: Session): Promise<void> {
    const { clock, hostName, maxTtlMs, observer, identity } = this.#options;
    const waitMs = newcomerWaitMs(maxTtlMs);
    const name = hostName.replaceAll(/\s/g, '_').slice(0, LONGEST_NAME) || '-';
    const args = [name, microseconds(waitMs), this.#marks.next(), identity?.group.join(' ') ?? ''];
    await this.#standing.registers();
    const [, , isAlone] = await this.#run(session, 'register-instance', 'registered', args);
    this.#borne.set(session, args[2] ?? '');
    this.#standing.registered(isAlone === '1' ? 0 : waitMs);
    const leftMs = this.newcomerRemainingMs;
    const from = new Date(clock.wallMs() + leftMs).toISOString();
    observer.event('info', leftMs > 0 ? `registered; answers from ${from} on` : 'registered', {
      newcomerMs: Math.round(leftMs),
    });
  }

  // Told memory is read as it is sent, batch by batch: nothing of an earlier reign is added to it any more.
  async #answer(session: Session, membership: Membership): Promise<Reply> {
    const { observer } = this.#options;
    const { cut, isFresh } = membership;
    await this.#sayAttempts(session, cut);
    let putBack = 0;
    let freed = 0;
    let batch = new RollCallBatch();
    const send = async (isLast: boolean): Promise<Reply> => {
      const isComplete = isLast && !this.#standing.lacksWhatWasTold && this.told.isCompleteFor(cut);
      const seenToken = Math.max(this.#options.seenToken(), this.told.largestToken);
      const head = [isComplete ? '1' : '0', isLast && isFresh ? '1' : '0', String(seenToken)];
      const reply = await this.#run(session, 'answer-roll-call', 'answered', [...head, ...batch.args]);
      const clockUs = Number(reply[2]);
      for (const { lease, saidUs } of batch.said)
        this.told.putBack(lease, saidUs, { reign: session.reign, clockUs });
      for (const ending of batch.endings) this.endings.repeated(ending, session.reign, clockUs);
      putBack += Number(reply[5] ?? 0);
      freed += Number(reply[6] ?? 0);
      if (isLast) membership.isIncomplete = !isComplete;
      return reply;
    };
    const sendFull = async (): Promise<void> => {
      await send(false);
      batch = new RollCallBatch();
    };
    for (const lease of this.told.unknownTo(cut)) {
      batch.add(lease, this.#options.clock.monotonicMs());
      if (batch.isFull) await sendFull();
    }
    for (const ending of this.endings.unknownTo(cut)) {
      batch.addEnding(ending);
      if (batch.isFull) await sendFull();
    }
    const reply = await send(true);
    this.#putBack += putBack;
    if (putBack > 0) observer.event('info', 'leases were put back', { leases: putBack });
    if (freed > 0) observer.event('info', 'releases were repeated', { leases: freed });
    return reply;
  }

  // Before the answer, as the leases: after it their operations may be started again.
  async #sayAttempts(session: Session, cut: Cut): Promise<void> {
    const { attempts } = this.told;
    let batch: {
      readonly attempt: ToldAttempt;
      readonly saidUs: number;
      readonly args: readonly string[];
    }[] = [];
    const send = async (): Promise<void> => {
      const args = batch.flatMap((one) => one.args);
      const [, , clock] = await this.#run(session, 'answer-attempts', 'noted', args);
      const since = { reign: session.reign, clockUs: Number(clock) };
      for (const { attempt, saidUs } of batch) attempts.putBack(attempt, saidUs, since);
      batch = [];
    };
    for (const attempt of attempts.unknownTo(cut)) {
      const { name, claimId, token, isExclusive, deadlineMs, clockUs: saidUs } = attempt;
      const left = microseconds(Math.max(0, deadlineMs - this.#options.clock.monotonicMs()));
      const args = [name, `${claimId} ${token} ${isExclusive ? 'x' : '-'}`, left];
      batch.push({ attempt, saidUs, args });
      if (batch.length >= BATCH_ATTEMPTS) await send();
    }
    if (batch.length > 0) await send();
  }

  async #run(
    session: Session,
    name: ScriptName,
    expected: string,
    args: readonly string[] = [],
  ): Promise<Reply> {
    const { scripts, clock } = this.#options;
    const reply = await session.run(scripts[name], args, clock.monotonicMs() + STEP_TIMEOUT_MS);
    if (reply[0] !== expected) throw new Error(`${name}: ${reply[0]}`);
    return reply;
  }
}
