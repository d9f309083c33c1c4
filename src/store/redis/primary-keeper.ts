// Keeps one session to the primary: finds it, reads its reign, adopts the reign when it is new, and does all of it
// again when the connection closes, the Sentinels name someone else, or a script is refused. Commands run nowhere else.
//
// Read role and replication id ──▶ ask the Sentinels *after that* ──▶ join or adopt the reign ──▶ session in use
//        ▲                                                                                            │
//        └────────────── closed · another primary or epoch named · reign refused · READONLY ◀──────────┘
//
// Over 300 lines because the steps of this circle are in one place.

import { type Clock, pause } from '../../domain/clock.ts';
import { CoordinationError } from '../../domain/errors.ts';
import { formatHostPort, isSameHostPort } from '../../domain/host-port.ts';
import type { Identity } from '../../domain/inheritance.ts';
import { CONFIRMATION_WINDOW_MS, entryKeptMs, freshWithinMs, TICK_MS } from '../../domain/safety.ts';
import type { StoreObserver } from '../store.ts';
import { Connection, type ConnectionSettings } from './connection.ts';
import { deathsOf } from './deaths.ts';
import type { Reply } from './evaluate-script.ts';
import { type NodeInfo, parseNodeInfo } from './info.ts';
import type { Keys } from './keys.ts';
import { microseconds } from './lock-arguments.ts';
import { unfitness, unfitnessShownBy } from './node-fitness.ts';
import type { NamedPrimary, PrimaryLocator } from './primary-locator.ts';
import { QuarantineWatch } from './quarantine-watch.ts';
import { isReignOf, ReignAdoption, type ReignPolicy, reignOf, STEP_TIMEOUT_MS } from './reign.ts';
import { RollCall } from './roll-call.ts';
import type { Scripts } from './scripts.ts';
import { Session } from './session.ts';
import { lackInWords, lackingRights, rightMissedBy } from './user-rights.ts';

export interface PrimaryKeeperOptions {
  readonly locator: PrimaryLocator;
  readonly connection: ConnectionSettings;
  readonly keys: Keys;
  readonly scripts: Scripts;
  readonly clock: Clock;
  readonly observer: StoreObserver;
  readonly policy: ReignPolicy;
  /** A random id of this process. */
  readonly instanceId: string;
  /** For people. */
  readonly hostName: string;
  /** A random id of this run of the process: letters and digits. */
  readonly runId: string;
  readonly identity?: Omit<Identity, 'instanceId'> | undefined;
  readonly maxToldLeases: number;
  readonly machineMs: () => number;
  /** From 0 to below 1: spreads the instances' retries. */
  readonly random: () => number;
}

const RETRY_MS = 100;
const RETRY_SPREAD_MS = 150;
const BACKLOG_WAIT_MS = 5_000;
const BACKLOG_POLL_MS = 100;
/** No reply to a tick for so long means a frozen process or a dead network. */
const SILENCE_MS = 3_000;
/** How long commands in flight on a retired session can still be answered. */
const RETIRED_GRACE_MS = 1_000;
const LOOKS_PER_TICK = 100;

export class PrimaryKeeper {
  readonly #options: PrimaryKeeperOptions;
  readonly #closing = new AbortController();
  readonly #stopListening: () => void;
  readonly #finished: Promise<void>;
  readonly #adoption: ReignAdoption;
  /** Undefined where nobody calls the roll. */
  readonly rollCall: RollCall | undefined;
  readonly quarantine: QuarantineWatch;
  #session: Session | undefined;
  /** The key of the primary that was tried last. */
  #tried = '';
  #reason = 'connecting';
  #mismatch = '';
  #tickSoon: () => void = () => {};
  #onChange: () => void = () => {};

  constructor(options: PrimaryKeeperOptions) {
    this.#options = options;
    this.#adoption = new ReignAdoption(options);
    const { policy, clock, observer } = options;
    const { maxTtlMs, quarantineMs, rollCall: hasRollCall } = policy;
    this.quarantine = new QuarantineWatch({
      clock,
      observer,
      quarantineMs,
      freshWithinMs: freshWithinMs(maxTtlMs),
      hasRollCall,
    });
    if (hasRollCall) {
      this.rollCall = new RollCall({ ...options, maxTtlMs, seenToken: () => this.#adoption.seenToken });
      this.rollCall.onTells = () => this.#onChange();
    }
    this.#stopListening = options.locator.onAnswer(this.#retireIfReplaced);
    this.#finished = this.#run();
  }

  /** The session that commands can use now. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Why there is no session, for people; '' when there is one. */
  get reason(): string {
    return this.#session ? '' : this.mismatch || this.#reason;
  }

  /** Set when the node is unfit, or its data belong to a deployment with other constants: no retry helps. */
  get mismatch(): string {
    return this.#mismatch || (this.rollCall?.mismatch ?? '');
  }

  get quarantineRemainingMs(): number {
    return this.quarantine.remainingMs;
  }

  set onChange(listener: () => void) {
    this.#onChange = listener;
  }

  /**
   * Whether what came on this session, asked at `askedAtMs`, can still be told. What is told is noted in the same
   * synchronous step: see RollCall.mayTell.
   */
  mayTell(session: Session, askedAtMs: number): boolean {
    return this.rollCall?.mayTell(session, askedAtMs) ?? true;
  }

  /** Another instance's answer may have ended the quarantine: the next tick tells. */
  lookSoon(): void {
    if (this.quarantineRemainingMs > 0) this.#tickSoon();
  }

  /** Remembers the largest token seen, so that an adoption after lost writes starts above it. */
  sawToken(token: number): void {
    this.#adoption.sawToken(token);
  }

  async close(): Promise<void> {
    await this.rollCall?.leave(this.#session);
    this.#closing.abort();
    this.#stopListening();
    this.#session?.connection.destroy();
    await this.#finished;
  }

  // When a majority names another node, or this one under another epoch (it was chosen again and never demoted),
  // nothing confirms an answer from the old session any more.
  #retireIfReplaced = (): void => {
    const named = this.#options.locator.named(this.#options.clock.monotonicMs() - CONFIRMATION_WINDOW_MS);
    if (named) this.#adoption.sawConfigEpoch(named.configEpoch);
    const session = this.#session;
    if (!session) return;
    if (named && named.key !== session.primary.key) session.retire(`the Sentinels name ${named.key}`);
  };

  async #run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#closing.signal.aborted) {
      try {
        const session = await this.#establish();
        this.#become(session, '');
        this.#retireIfReplaced();
        // Doesn't await the last tick: one that waits for a dead primary's reply must not hold back the next session.
        void this.#tickUntilOver(session);
        await ended(session.over);
        this.#become(undefined, String(session.over.reason));
        void pause(clock, RETIRED_GRACE_MS, this.#closing.signal).then(() => session.connection.destroy());
      } catch (error) {
        this.#become(undefined, error instanceof Error ? error.message : String(error));
      }
      await this.#rest();
    }
  }

  /** Between two tries. Over at once when the Sentinels name another than the one that was tried: it waits for us. */
  async #rest(): Promise<void> {
    const { clock, locator, random } = this.#options;
    const isNamed = new AbortController();
    const look = (): void => {
      const named = locator.named(clock.monotonicMs() - CONFIRMATION_WINDOW_MS);
      if (named && named.key !== this.#tried) isNamed.abort();
    };
    const stopListening = locator.onAnswer(look);
    look();
    const signal = AbortSignal.any([this.#closing.signal, isNamed.signal]);
    await pause(clock, RETRY_MS + random() * RETRY_SPREAD_MS, signal);
    stopListening();
  }

  #become(session: Session | undefined, reason: string): void {
    if (this.#closing.signal.aborted) {
      session?.connection.destroy();
      this.#session = undefined;
      return;
    }
    const { observer } = this.#options;
    if (session) {
      const facts = { primary: session.primary.key, reign: session.reign, epoch: session.epoch };
      observer.event('info', 'primary in use', {
        ...facts,
        quarantineMs: Math.round(this.quarantineRemainingMs),
      });
    } else if (this.#session || this.#reason !== reason) {
      observer.event('warn', 'no primary', { reason });
    }
    this.#session = session;
    this.#reason = reason;
    this.#onChange();
  }

  async #establish(): Promise<Session> {
    const { locator, clock, connection: settings } = this.#options;
    if (this.rollCall && this.rollCall.mismatch !== '') this.#refuse(this.rollCall.mismatch);
    const recent = (): number => clock.monotonicMs() - CONFIRMATION_WINDOW_MS;
    const named = await locator.awaitNamed(recent, () => true, clock.monotonicMs() + STEP_TIMEOUT_MS);
    if (!named) throw new Error(`no majority of the Sentinels names a primary (${locator.describe()})`);
    this.#tried = named.key;
    const { signal } = this.#closing;
    const connection = await Connection.open(named.address, settings, clock, signal).catch(this.#judge);
    const abandon = (): void => connection.destroy();
    signal.addEventListener('abort', abandon);
    try {
      signal.throwIfAborted();
      return await this.#join(connection, named).catch(this.#judge);
    } catch (error) {
      connection.destroy();
      throw error;
    } finally {
      signal.removeEventListener('abort', abandon);
    }
  }

  async #join(connection: Connection, named: NamedPrimary): Promise<Session> {
    const { locator, clock, keys, scripts, observer, policy, instanceId } = this.#options;
    let node = await this.#readNode(connection);
    const lacking = await lackingRights(connection, keys, STEP_TIMEOUT_MS);
    if (lacking.length > 0) this.#refuse(lackInWords(this.#options.connection.username, lacking));
    await Promise.all(
      Object.values(scripts).map((script) =>
        connection.callWithin(STEP_TIMEOUT_MS, 'SCRIPT', 'LOAD', script.source),
      ),
    );
    const installed = await connection.callWithin(STEP_TIMEOUT_MS, 'HGET', keys.meta, 'reign');
    const name = reignOf(named.configEpoch, node.replid, policy.rollCall);
    if (locator.hasSentinels && !isReignOf(name, String(installed))) {
      node = await this.#awaitBacklog(connection, node);
    }
    // Asks the majority after it has read the reign. Otherwise it would adopt a primary that was demoted and chosen
    // again between the two under the name of a reign that has ended.
    const readAtMs = clock.monotonicMs();
    const agreed = await locator.awaitNamed(
      () => readAtMs,
      (now) => isSameHostPort(now.address, named.address),
      readAtMs + STEP_TIMEOUT_MS,
    );
    if (!agreed) {
      const who = formatHostPort(named.address);
      throw new Error(`no majority of the Sentinels confirms ${who} as primary (${locator.describe()})`);
    }
    const joined = await this.#adoption.adopt(connection, agreed, node);
    if (joined.kind === 'mismatch') this.#refuse(joined.reason);
    this.#mismatch = '';
    const { reign, epoch, token, sample } = joined;
    if (!isReignOf(reignOf(agreed.configEpoch, node.replid, policy.rollCall), reign))
      throw new Error('the reign changed while it was joined');
    this.#adoption.knowsDeployment(token);
    this.quarantine.joined(joined.quarantineLeftMs, sample.atMs);
    const caller = this.rollCall ? instanceId : '-';
    const session = new Session({
      connection,
      scripts,
      metaKey: keys.meta,
      primary: agreed,
      reign,
      epoch,
      caller,
      clock,
      observer,
      sample,
    });
    const answer = await this.rollCall?.join(session);
    if (answer) this.quarantine.answered(answer);
    return session;
  }

  /** Refuses the node if this error shows that no retry helps; throws the error otherwise. */
  #judge = (error: unknown): never => {
    const unfit = unfitnessShownBy(error);
    if (unfit !== '') this.#refuse(unfit);
    const right = rightMissedBy(error);
    if (right !== undefined) this.#refuse(lackInWords(this.#options.connection.username, [right]));
    throw error;
  };

  /** No retry helps until somebody has changed the node or this instance's configuration. */
  #refuse(reason: string): never {
    this.#mismatch = reason;
    throw new CoordinationError('DEPLOYMENT_MISMATCH', reason);
  }

  async #readNode(connection: Connection): Promise<NodeInfo> {
    // All sections: before 7.0, Redis took no more than one name, and could not have been asked which version it is.
    const node = parseNodeInfo(String(await connection.callWithin(STEP_TIMEOUT_MS, 'INFO')));
    const unfit = unfitness(node, this.#options.policy.allowEvictionPolicy);
    if (unfit !== '') this.#refuse(unfit);
    if (node.loading) throw new Error('Redis is loading its data');
    if (node.role !== 'master') throw new Error('the node is a replica');
    return node;
  }

  // The first replica that attaches changes the replication id, and with it the reign, and so begins a quarantine.
  // The replicas of a primary that has just started come within seconds: better to adopt it once, after that.
  async #awaitBacklog(connection: Connection, first: NodeInfo): Promise<NodeInfo> {
    const { clock } = this.#options;
    const giveUpMs = clock.monotonicMs() + BACKLOG_WAIT_MS;
    let node = first;
    while (!node.backlogActive && clock.monotonicMs() < giveUpMs && !this.#closing.signal.aborted) {
      await pause(clock, BACKLOG_POLL_MS, this.#closing.signal);
      node = await this.#readNode(connection);
    }
    return node;
  }

  // The lease clock stands still when nobody advances it. A tick also removes locks that have lapsed.
  async #tickUntilOver(session: Session): Promise<void> {
    const { clock, scripts, policy, observer } = this.#options;
    const keptUs = microseconds(entryKeptMs(policy.maxTtlMs));
    const life = [String(LOOKS_PER_TICK), ...policy.lifeOfOperations];
    while (!session.over.aborted && !this.#closing.signal.aborted) {
      const deadlineMs = clock.monotonicMs() + SILENCE_MS;
      const soon = new AbortController();
      const hurry = (): void => soon.abort();
      if (session === this.#session) this.#tickSoon = hurry;
      session.over.addEventListener('abort', hurry, { once: true });
      try {
        const asked = this.rollCall?.asked(session) ?? ['', ''];
        const [mark, accepted] = this.rollCall?.marks(session) ?? ['', ''];
        const args = [...life, ...asked, keptUs, mark, accepted];
        const reply = await session.run(scripts['tick-clock'], args, deadlineMs);
        if (reply[0] === 'contested') this.rollCall?.contested();
        if (reply[0] === 'ticked') this.rollCall?.wrote(session, mark);
        if (reply[0] === 'ticked') for (const type of deathsOf(reply[4])) observer.operationDied?.(type);
        if (reply[0] === 'ticked' && session === this.#session) {
          await this.#ticked(session, reply);
          if (reply[3] === '1') continue; // more are due
        }
      } catch (error) {
        if (error instanceof CoordinationError && error.code === 'OUTCOME_UNKNOWN') {
          session.retire(`no reply within ${SILENCE_MS} ms`);
          session.connection.destroy();
        }
      }
      await pause(clock, TICK_MS, soon.signal);
      session.over.removeEventListener('abort', hurry);
    }
  }

  async #ticked(session: Session, reply: Reply): Promise<void> {
    const hasEnded = this.quarantine.ticked(reply);
    const answer = await this.rollCall?.ticked(session);
    if (answer) this.quarantine.answered(answer);
    if (hasEnded) this.#onChange();
  }
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
