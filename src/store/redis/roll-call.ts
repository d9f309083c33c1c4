// This instance's part in the roll call: how it joins a reign (its entry in the registry, what it puts back, its
// answer), from when it may tell anything, and its end. Owns told memory. primary-keeper.ts says when a session begins
// and ticks; the scripts decide what an answer changes.
//
// Read the own entry ──▶ (register) ──▶ nothing is told of another reign ──▶ put back in batches; the last one is the
// answer ──▶ the session becomes the one in use, and ticks

import type { Clock } from '../../domain/clock.ts';
import { awayAtMostMs, freshWithinMs, newcomerWaitMs } from '../../domain/safety.ts';
import type { StoreObserver } from '../store.ts';
import type { Keys } from './keys.ts';
import { microseconds } from './lock-arguments.ts';
import type { PrimaryLocator } from './primary-locator.ts';
import { configEpochOf, STEP_TIMEOUT_MS } from './reign.ts';
import type { ScriptName, Scripts } from './scripts.ts';
import type { Reply, Session } from './session.ts';
import { type Cut, type ToldLease, ToldMemory } from './told-memory.ts';

export interface RollCallOptions {
  readonly locator: PrimaryLocator;
  readonly keys: Keys;
  readonly scripts: Scripts;
  readonly clock: Clock;
  /** Milliseconds on the machine's monotonic clock. */
  readonly machineMs: () => number;
  readonly observer: StoreObserver;
  readonly maxTtlMs: number;
  readonly maxToldLeases: number;
  /** For people. */
  readonly hostName: string;
  /** The largest token that this process has seen. */
  readonly seenToken: () => number;
}

/** How an instance stands in the reign that it joined last. */
interface Membership {
  readonly reign: string;
  cut: Cut;
  /** The data are so young that an instance which they lack is still a newcomer. */
  readonly isFresh: boolean;
  /** It has answered, but not of all that it told. */
  isIncomplete: boolean;
}

/** One call takes no longer than a millisecond or two of Redis. */
const BATCH_LEASES = 200;
const BATCH_LENGTH = 200_000;
const LEAVE_WITHIN_MS = 1_000;
const LONGEST_NAME = 64;

export class RollCall {
  readonly told: ToldMemory;
  readonly #options: RollCallOptions;
  /** From here on nothing is told of another reign than this one's. */
  #home: Membership | undefined;
  readonly #memberships = new WeakMap<Session, Membership>();
  #tellsFromMs = 0;
  #isLeaving = false;
  #putBack = 0;
  #onTells: () => void = () => {};

  constructor(options: RollCallOptions) {
    this.#options = options;
    const { maxToldLeases: maxLeases, clock } = options;
    this.told = new ToldMemory({ maxLeases, monotonicMs: () => clock.monotonicMs() });
  }

  /** Called when this instance may tell again, having been a newcomer. */
  set onTells(listener: () => void) {
    this.#onTells = listener;
  }

  /** For how long this instance tells nothing, because it has just registered. */
  get newcomerRemainingMs(): number {
    return Math.max(0, this.#tellsFromMs - this.#options.clock.monotonicMs());
  }

  get isIncomplete(): boolean {
    return this.told.incompleteUntilMs > this.#options.clock.monotonicMs();
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
      this.#home !== undefined &&
      this.#memberships.get(session) === this.#home &&
      nowMs >= this.#tellsFromMs &&
      nowMs - askedAtMs < awayAtMostMs(maxTtlMs)
    );
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
    const [, , , epoch, mono = '', wall = '', entryEpoch = '', fromReign = '', fromClock] = await this.#run(
      session,
      'join-reign',
      'joined',
    );
    const isHome = this.#home?.reign === session.reign;
    const isKnown = entryEpoch !== '';
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
            cut: { fromReign, fromClockUs: Number(fromClock), ownReign: '' },
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

  /** After a tick. Answers once more when this instance remembers all that may still be valid of what it told. */
  async ticked(session: Session): Promise<Reply | undefined> {
    this.told.sweep();
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
    const { scripts, keys, clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + LEAVE_WITHIN_MS;
    try {
      await session.run(scripts['leave-registry'], [keys.meta], [], deadlineMs);
    } catch {
      // It is dropped later.
    }
  }

  // The machine's clock stands still while the machine is suspended, and the wall clock may be set back: the data are
  // as old as the older of the two says.
  #ageOf(mono: string, wall: string): number {
    if (mono === '-' || mono === '') return Number.POSITIVE_INFINITY;
    const { clock, machineMs } = this.#options;
    return Math.max(machineMs() - Number(mono), clock.wallMs() - Number(wall));
  }

  // A newcomer tells nothing for a while. The interleaving: it registers, grants, and dies; the promoted replica lacks
  // the last two seconds, so that nobody waits for its answer.
  async #register(session: Session): Promise<void> {
    const { clock, hostName, maxTtlMs, observer } = this.#options;
    const waitMs = newcomerWaitMs(maxTtlMs);
    const args = [hostName.replaceAll(/\s/g, '_').slice(0, LONGEST_NAME) || '-', microseconds(waitMs)];
    const [, , isAlone] = await this.#run(session, 'register-instance', 'registered', args);
    this.#tellsFromMs = isAlone === '1' ? 0 : clock.monotonicMs() + waitMs;
    const leftMs = this.newcomerRemainingMs;
    const from = new Date(clock.wallMs() + leftMs).toISOString();
    observer.event('info', leftMs > 0 ? `registered; answers from ${from} on` : 'registered', {
      newcomerMs: Math.round(leftMs),
    });
    if (leftMs > 0) this.#announceWhenItTells();
  }

  #announceWhenItTells(): void {
    const { clock } = this.#options;
    clock.after(this.newcomerRemainingMs, () => {
      if (this.newcomerRemainingMs > 0) return this.#announceWhenItTells();
      this.#onTells();
    });
  }

  // Told memory is read as it is sent, batch by batch: nothing of an earlier reign is added to it any more.
  async #answer(session: Session, membership: Membership): Promise<Reply> {
    const { observer } = this.#options;
    const { cut, isFresh } = membership;
    let putBack = 0;
    let batch = new Batch();
    const send = async (isLast: boolean): Promise<Reply> => {
      const isComplete = isLast && this.told.isCompleteFor(cut);
      const seenToken = Math.max(this.#options.seenToken(), this.told.largestToken);
      const head = [isComplete ? '1' : '0', isLast && isFresh ? '1' : '0', String(seenToken)];
      const reply = await this.#run(session, 'answer-roll-call', 'answered', [...head, ...batch.args]);
      for (const { lease, saidUs } of batch.said) {
        this.told.putBack(lease, saidUs, session.reign, Number(reply[2]));
      }
      putBack += Number(reply[5] ?? 0);
      if (isLast) membership.isIncomplete = !isComplete;
      return reply;
    };
    for (const lease of this.told.unknownTo(cut)) {
      batch.add(lease, this.#options.clock.monotonicMs());
      if (!batch.isFull) continue;
      await send(false);
      batch = new Batch();
    }
    const reply = await send(true);
    this.#putBack += putBack;
    if (putBack > 0) observer.event('info', 'leases were put back', { leases: putBack });
    // From now on these data know what was told under their own reign.
    membership.cut = { ...cut, ownReign: session.reign };
    return reply;
  }

  async #run(
    session: Session,
    name: ScriptName,
    expected: string,
    args: readonly string[] = [],
  ): Promise<Reply> {
    const { scripts, keys, clock } = this.#options;
    const reply = await session.run(scripts[name], [keys.meta], args, clock.monotonicMs() + STEP_TIMEOUT_MS);
    if (reply[0] !== expected) throw new Error(`${name}: ${reply[0]}`);
    return reply;
  }
}

/** The leases of one call. */
class Batch {
  readonly args: string[] = [];
  readonly said: { readonly lease: ToldLease; readonly saidUs: number }[] = [];
  #length = 0;

  get isFull(): boolean {
    return this.said.length >= BATCH_LEASES || this.#length >= BATCH_LENGTH;
  }

  /** Spans, not deadlines: the script counts them from its own clock. */
  add(lease: ToldLease, nowMs: number): void {
    const { key, text, about, deadlineMs, ceilingMs, holdMs, clockUs, reign } = lease;
    const space = key.indexOf(' ');
    const left = microseconds(Math.max(0, deadlineMs - nowMs));
    // 0 says that there is no bound.
    const ceilingLeft =
      ceilingMs === Number.POSITIVE_INFINITY ? '0' : microseconds(Math.max(1, ceilingMs - nowMs));
    const holdLeft = microseconds(Math.max(0, holdMs - nowMs));
    const spans = `${left} ${ceilingLeft} ${holdLeft} ${configEpochOf(reign)} ${clockUs}`;
    this.args.push(key.slice(space + 1), key.slice(0, space), text, about, spans);
    this.said.push({ lease, saidUs: clockUs });
    this.#length += key.length + text.length + about.length + spans.length;
  }
}
