// What an instance says of itself: GetServerInfo, readiness, and the warning about a default TTL that is too
// short.

import type { Clock } from '../domain/clock.ts';
import { smallestAdvisableTtlMs } from '../domain/safety.ts';
import type { Store, StoreStatus } from '../store/store.ts';

/**
 * How long the store may be unusable before the instance says that it isn't ready. Clients retry through shorter
 * breaks.
 */
export const UNREADY_AFTER_MS = 10_000;

export interface ServerInfo {
  readonly version: string;
  readonly instanceId: string;
  readonly store: StoreStatus;
  readonly maxTtlMs: number;
  readonly defaultTtlMs: number;
  readonly maxMessageBytes: number;
  readonly maxPayloadBytes: number;
  /** How many replicas have what is answered, unless a request asks for more; 0: only the primary. */
  readonly minAcks: number;
  /** Undefined if the store can't fail over. */
  readonly smallestAdvisableTtlMs: number | undefined;
}

export interface ServerInfoOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly version: string;
  readonly instanceId: string;
  readonly maxTtlMs: number;
  readonly defaultTtlMs: number;
  readonly maxMessageBytes: number;
  readonly maxPayloadBytes: number;
  readonly minAcks: number;
}

export class ServerInfoService {
  readonly #options: ServerInfoOptions;
  #draining = false;
  #wasUsable = false;

  constructor(options: ServerInfoOptions) {
    this.#options = options;
  }

  get(): ServerInfo {
    const { store, clock: _, ...constants } = this.#options;
    const status = store.status();
    const advisable =
      status.downAfterMs === undefined ? undefined : smallestAdvisableTtlMs(status.downAfterMs);
    return { ...constants, store: status, smallestAdvisableTtlMs: advisable };
  }

  drain(): void {
    this.#draining = true;
  }

  /** Whether load balancers should send calls here. False until the store was usable once. */
  ready(): boolean {
    const { store, clock } = this.#options;
    const status = store.status();
    this.#wasUsable ||= status.usable;
    if (this.#draining || status.mismatch || !this.#wasUsable) return false;
    // It answers nothing for longer than clients retry, also if it was in use before it had to register again.
    if (status.rollCall.newcomerRemainingMs > 0) return false;
    return status.usable || clock.monotonicMs() - status.sinceMs < UNREADY_AFTER_MS;
  }
}
