// What the load generator is asked to do and what it answers, for each kind of load. Owns the messages between the
// scenarios and load-generator.ts.
import type { AcquireManyOrder } from './loads/acquire-many.ts';
import type { ClientHoldsOrder } from './loads/client-holds.ts';
import type { Percentiles } from './loads/latencies.ts';
import type { ListOrder, RecordOrder } from './loads/list.ts';
import type { ModesOrder } from './loads/modes.ts';
import type { OpenLoopOrder } from './loads/open-loop.ts';
import type { ReconnectOrder } from './loads/reconnect.ts';
import type { UnitCallsOrder } from './loads/unit-calls.ts';
import type { WatchersOrder } from './loads/watchers.ts';

export interface UncontendedOrder {
  readonly kind: 'uncontended';
  /** The address of a server, or of Redis for the peers that need no server. */
  readonly address: string;
  /** `frames` calls the same server as `grpc` does, with a client that costs much less than grpc-js. */
  readonly peer: 'frames' | 'grpc' | 'set-nx' | 'redlock' | 'etcd';
  readonly callers: number;
  readonly forMs: number;
  /** Over which `frames` spreads the callers; one if it is left out. */
  readonly connections?: number;
}

export interface Uncontended {
  /** Pairs of Acquire and Release, both answered. */
  readonly cycles: number;
  readonly tookMs: number;
  readonly acquireP50Ms: number;
  readonly acquireP99Ms: number;
  /** Present if there were enough cycles. */
  readonly acquireP999Ms?: number;
  readonly releaseP50Ms: number;
  readonly releaseP99Ms: number;
  /** What the load generator itself used. */
  readonly generatorCpuUs: number;
}

/**
 * Fills a queue of this many callers. Then `expect` says in which order they stand, `pass` passes the lock on, one
 * hand-over after the other, `cycle` lets everybody release it and queue again at once, and `empty` ends the queue.
 */
export type HandOverOrder =
  | { readonly kind: 'queue'; readonly address: string; readonly resource: string; readonly waiters: number }
  | { readonly kind: 'expect'; readonly leaseIds: readonly string[] }
  | { readonly kind: 'pass'; readonly forMs: number; readonly isWarmUp: boolean }
  | { readonly kind: 'cycle'; readonly forMs: number }
  | { readonly kind: 'empty' };

export interface HandOvers {
  readonly times: number;
  /** From before Release is sent until the next caller has the grant, for all hand-overs after the warm-up. */
  readonly latency: Percentiles;
  readonly tookMs: number;
  /** Grants to a caller while another stood before it in the queue. */
  readonly outOfOrder: number;
}

export interface Cycles {
  readonly grants: number;
  readonly tookMs: number;
  readonly outOfOrder: number;
  /** The grants of the caller that got the most, and of the one that got the fewest. */
  readonly most: number;
  readonly fewest: number;
}

/** Opens streams that each hold a lease; `watch` reads them for a time, and `end` closes them and those of clients. */
export type HoldOrder =
  | { readonly kind: 'hold'; readonly address: string; readonly streams: number; readonly ttlMs: number }
  | { readonly kind: 'watch'; readonly forMs: number }
  | { readonly kind: 'end' };

export interface Renewals {
  readonly renewals: number;
  /** Leases that the server reported as lost since they were opened, and streams that have ended otherwise. */
  readonly lost: number;
  readonly tookMs: number;
  /** The part of its TTL that a lease has left when its renewal arrives: 0.75 if each comes after a quarter. */
  readonly leftP1: number;
  /** How late a renewal arrives, past a quarter of its TTL after the one before; 0 if none is late. */
  readonly lagP50Ms: number;
  readonly lagP99Ms: number;
  /** Present if there were enough renewals. */
  readonly lagP999Ms?: number;
  readonly lagMostMs: number;
  /** What it cost the load generator to read them. */
  readonly generatorCpuUs: number;
}

/** Pings some nodes again and again from now on; `longest-ping` ends that, and says how long the longest took. */
export type PingOrder =
  | { readonly kind: 'ping'; readonly addresses: readonly string[] }
  | { readonly kind: 'longest-ping' };

export interface Pings {
  /** By address. */
  readonly longestMs: Readonly<Record<string, number>>;
}

export interface FillOrder {
  readonly kind: 'fill';
  readonly address: string;
  readonly what: 'locks' | 'operations';
  readonly count: number;
}

export interface OperationsOrder {
  /** `run` begins, updates and completes operations; `claim` completes `count` operations that others have begun. */
  readonly kind: 'operations';
  readonly address: string;
  readonly mode: 'run' | 'claim';
  readonly workers: number;
  readonly count: number;
}

export interface Operations {
  readonly operations: number;
  readonly calls: number;
  readonly tookMs: number;
  /** For the first call of each operation: Begin, or the Claim that returned it. */
  readonly firstP50Ms: number;
  readonly firstP99Ms: number;
}

export type LoadOrder =
  | ClientHoldsOrder
  | UncontendedOrder
  | OpenLoopOrder
  | ModesOrder
  | AcquireManyOrder
  | HandOverOrder
  | HoldOrder
  | PingOrder
  | ReconnectOrder
  | WatchersOrder
  | RecordOrder
  | ListOrder
  | FillOrder
  | OperationsOrder
  | UnitCallsOrder;
