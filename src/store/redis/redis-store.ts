// The store on Redis, put together: the locator that says which node is the primary, the keeper of the session to it,
// the command lane, and on top the stores of locks and operations.

import { randomUUID } from 'node:crypto';
import { type Clock, machineMs } from '../../domain/clock.ts';
import type { HostPort } from '../../domain/host-port.ts';
import type { Identity } from '../../domain/inheritance.ts';
import { CONFIRMATION_WINDOW_MS, LAPSED_AFTER_ADOPTION_MS, quarantineMs } from '../../domain/safety.ts';
import {
  NO_ROLL_CALL,
  type RollCallStatus,
  type SentinelCounts,
  type Store,
  type StoreObserver,
  type StoreStatus,
} from '../store.ts';
import { ChangeFeed } from './change-feed.ts';
import { ChannelListener } from './channel-listener.ts';
import { CommandLane } from './command-lane.ts';
import type { ConnectionSettings } from './connection.ts';
import { keysFor } from './keys.ts';
import { lifeArguments } from './operation-arguments.ts';
import { PrimaryKeeper } from './primary-keeper.ts';
import { FixedPrimary, type PrimaryLocator } from './primary-locator.ts';
import { RedisContentionBoard } from './redis-contention-board.ts';
import { RedisLockStore } from './redis-lock-store.ts';
import { RedisOperationStore } from './redis-operation-store.ts';
import { loadScripts, type Scripts } from './scripts.ts';
import { SentinelWatch } from './sentinel-watch.ts';

export type RedisDeployment =
  | {
      readonly kind: 'sentinel';
      readonly masterName: string;
      readonly sentinels: readonly HostPort[];
      readonly sentinelConnection: ConnectionSettings;
    }
  | { readonly kind: 'single'; readonly address: HostPort };

export interface RedisStoreOptions {
  readonly deployment: RedisDeployment;
  /** A random id of this process: letters and digits. */
  readonly instanceId: string;
  /** A random id of this run of the process, letters and digits; made here if it isn't given. */
  readonly runId?: string;
  readonly connection: ConnectionSettings;
  /** Without braces; '' for none. */
  readonly keyPrefix: string;
  readonly maxTtlMs: number;
  readonly maxInFlight: number;
  /** How many replicas must have what an answer tells. */
  readonly minAcks: number;
  /** False waives promise 1: after a failover a resource can be granted at once, even one that somebody still holds. */
  readonly quarantine: boolean;
  readonly bootstrapNew: boolean;
  /** Whether a roll call can end a quarantine early. All instances of a deployment must agree. */
  readonly rollCall: boolean;
  /** How many leases this instance remembers for a roll call. */
  readonly maxToldLeases: number;
  /** Shown to people where a roll call waits for this instance. */
  readonly hostName: string;
  /** Undefined: it has no predecessor, and nobody needs to know how it stands. */
  readonly identity?: Omit<Identity, 'instanceId'> | undefined;
  readonly allowEvictionPolicy?: string | undefined;
  readonly clock: Clock;
  readonly observer: StoreObserver;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Only tests bring their own. */
  readonly scripts?: Scripts;
  /** Milliseconds on the machine's monotonic clock; only tests bring their own. */
  readonly machineMs?: () => number;
}

export class RedisStore implements Store {
  readonly locks: RedisLockStore;
  readonly operations: RedisOperationStore;
  readonly contention: RedisContentionBoard;
  readonly #keeper: PrimaryKeeper;
  readonly #locator: PrimaryLocator;
  readonly #listeners = new Set<(status: StoreStatus) => void>();
  readonly #clock: Clock;
  readonly #observer: StoreObserver;
  readonly #stopListening: () => void;
  readonly #channel: ChannelListener;
  readonly #changes: ChangeFeed;
  #usable = false;
  #sinceMs: number;

  constructor(options: RedisStoreOptions) {
    const { clock, observer, connection, deployment } = options;
    const keys = keysFor(options.keyPrefix);
    const scripts = options.scripts ?? loadScripts();
    this.#locator =
      deployment.kind === 'single'
        ? new FixedPrimary(deployment.address, clock)
        : new SentinelWatch({
            masterName: deployment.masterName,
            addresses: deployment.sentinels,
            connection: deployment.sentinelConnection,
            clock,
            observer,
          });
    this.#keeper = new PrimaryKeeper({
      locator: this.#locator,
      connection,
      keys,
      scripts,
      clock,
      observer,
      random: options.random,
      instanceId: options.instanceId,
      runId: options.runId ?? randomUUID().slice(0, 8),
      hostName: options.hostName,
      identity: options.identity,
      maxToldLeases: options.maxToldLeases,
      machineMs: options.machineMs ?? machineMs,
      policy: {
        maxTtlMs: options.maxTtlMs,
        quarantineMs: options.quarantine ? quarantineMs(options.maxTtlMs) : 0,
        lapsedAfterMs: options.quarantine ? LAPSED_AFTER_ADOPTION_MS : 0,
        lifeOfOperations: lifeArguments(options.maxTtlMs),
        bootstrapNew: options.bootstrapNew,
        // Without quarantines there is nothing to end early.
        rollCall: options.rollCall && options.quarantine,
        allowEvictionPolicy: options.allowEvictionPolicy,
      },
    });
    this.#clock = clock;
    this.#observer = observer;
    this.#sinceMs = clock.monotonicMs();
    this.#keeper.onChange = () => {
      this.#noteUsable();
      this.#channel.follow(this.#keeper.session);
      this.#changes.follow(this.#keeper.session);
      for (const listener of this.#listeners) listener(this.status());
    };
    this.#stopListening = this.#locator.onAnswer(() => this.#noteUsable());
    const lane = new CommandLane({
      keeper: this.#keeper,
      locator: this.#locator,
      scripts,
      clock,
      maxInFlight: options.maxInFlight,
      minAcks: options.minAcks,
      connection,
      observer,
    });
    const { instanceId, maxTtlMs } = options;
    this.#changes = new ChangeFeed({
      channel: keys.changes,
      connection,
      clock,
      observer,
      instanceId,
      extend: (aheadMs, mark, bound) => this.locks.extendWatch(aheadMs, mark, bound),
    });
    const common = { lane, keeper: this.#keeper, changes: this.#changes };
    this.locks = new RedisLockStore({ ...common, instanceId });
    this.operations = new RedisOperationStore({ ...common, observer, maxTtlMs });
    this.contention = new RedisContentionBoard({ lane, instanceId });
    this.#channel = new ChannelListener({
      name: keys.channel(options.instanceId),
      connection,
      clock,
      observer,
      trouble: 'cannot listen for grants; they are found once a second',
      onMessage: (message) => {
        if (message.startsWith('resync ')) this.#keeper.lookSoon();
        this.locks.heard(message);
        this.operations.heard(message);
      },
      onListening: () => this.locks.resync(),
    });
    this.#channel.follow(this.#keeper.session);
    this.#changes.follow(this.#keeper.session);
  }

  status(): StoreStatus {
    const usable = this.#noteUsable();
    const { session } = this.#keeper;
    const { downAfterMs } = this.#locator;
    const unconfirmed = session && !usable ? `the primary is not confirmed: ${this.#locator.describe()}` : '';
    return {
      kind: 'redis',
      usable,
      mismatch: this.#keeper.mismatch !== '',
      reason: this.#keeper.reason || this.#keeper.rollCall?.refusal || unconfirmed,
      sinceMs: this.#sinceMs,
      reign: session?.reign ?? '',
      epoch: session?.epoch ?? 0,
      quarantineRemainingMs: this.#keeper.quarantineRemainingMs,
      rollCall: this.#rollCall(),
      ...(downAfterMs === undefined ? {} : { downAfterMs }),
    };
  }

  #rollCall(): RollCallStatus {
    const { rollCall, quarantine } = this.#keeper;
    if (!rollCall) return { ...NO_ROLL_CALL, lastEnd: quarantine.lastEnd };
    return {
      enabled: true,
      newcomerRemainingMs: rollCall.newcomerRemainingMs,
      fullQuarantineRemainingMs: quarantine.fullRemainingMs,
      missing: quarantine.missing,
      missingCount: quarantine.missingCount,
      lastEnd: quarantine.lastEnd,
      toldLeases: rollCall.told.size,
      incomplete: rollCall.isIncomplete,
      putBack: rollCall.putBack,
    };
  }

  sentinels(): SentinelCounts | undefined {
    return this.#locator.sentinels(this.#keeper.session?.primary);
  }

  onStatus(listener: (status: StoreStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#stopListening();
    this.#channel.close();
    this.#changes.close();
    this.#locator.close();
    await this.#keeper.close();
  }

  // A session answers nothing unless a majority has confirmed its primary lately. Without that the store isn't usable,
  // however well the connection works.
  #noteUsable(): boolean {
    const { session } = this.#keeper;
    const nowMs = this.#clock.monotonicMs();
    const named = this.#locator.named(nowMs - CONFIRMATION_WINDOW_MS);
    const isConfirmed = session !== undefined && named?.key === session.primary.key;
    const mayAnswer = (this.#keeper.rollCall?.refusal ?? '') === '';
    const usable = isConfirmed && mayAnswer;
    if (usable !== this.#usable) {
      this.#usable = usable;
      this.#sinceMs = nowMs;
      if (session && mayAnswer) {
        const message = usable ? 'the primary is confirmed' : 'the primary is not confirmed any more';
        this.#observer.event(usable ? 'info' : 'warn', message, { sentinels: this.#locator.describe() });
      }
    }
    return usable;
  }
}
