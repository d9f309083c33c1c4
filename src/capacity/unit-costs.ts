// What one thing of each kind costs: the form of unit-figures.ts, which `npm run bench` writes. Owns the units; how many
// of each there are, and what they add up to, is in the other files of this folder.

/** What one call costs, or one of something a second. */
export interface CallCost {
  readonly serverCpuUs: number;
  readonly redisCpuUs: number;
  /** What Redis reads from the server, and what it sends back. */
  readonly redisInBytes: number;
  readonly redisOutBytes: number;
  /** What each replica gets. */
  readonly replicationBytes: number;
  readonly aofBytes: number;
}

/** An operation is begun (`record`), claimed, updated and completed; a `waited` cycle is Acquire, the wait, Release. */
export type CallKind =
  | 'acquire'
  | 'renew'
  | 'release'
  | 'waited'
  | 'record'
  | 'claim'
  | 'update'
  | 'complete';

/** Bytes of used_memory of Redis as deploy/redis sets it up, without the tables of its dictionaries. */
export interface MemoryCosts {
  /** With one server connected and nothing recorded. */
  readonly empty: number;
  /** A lock with one holder, a name of NAME_BYTES, an owner of OWNER_BYTES and no metadata. */
  readonly exclusiveLock: number;
  readonly sharedLock: number;
  readonly permitsLock: number;
  readonly lockPerNameByte: number;
  /** Of its owner and its metadata. */
  readonly lockPerOwnerByte: number;
  /** What a lock needs besides when these are longer than PACKED_BYTES: Redis packs its record no longer. */
  readonly unpackedLock: number;
  /** In a queue of up to 60. */
  readonly waiter: number;
  /** The first waiter of a lock costs this, too. */
  readonly queue: number;
  readonly longQueueWaiter: number;
  /** An open operation without payload, with a name of NAME_BYTES and a UUID for its id. */
  readonly operation: number;
  readonly operationPerNameByte: number;
  readonly operationWith1Kib: number;
  readonly operationWith16Kib: number;
}

/** Of a snapshot, which is also how the append-only file is rewritten. */
export interface SnapshotCosts {
  /** Bytes of the file for each byte of used_memory. */
  readonly fileShare: number;
  /** How long it takes per MiB of used_memory. */
  readonly msPerMib: number;
  /** Memory that is copied because a renewal, or another call, writes while the snapshot is taken. */
  readonly copiedPerRenewal: number;
  readonly copiedPerCall: number;
}

export interface UnitFigures {
  readonly measured: {
    readonly date: string;
    readonly commit: string;
    readonly machine: string;
    readonly node: string;
    readonly redis: string;
  };
  readonly memory: MemoryCosts;
  readonly calls: Readonly<Record<CallKind, CallCost>>;
  /** A renewal of a stream's lease: its part of a batch, and the batch that it shares with others. */
  readonly renewal: CallCost;
  readonly renewalBatch: CallCost;
  /** A lock whose deadline is only looked at, to find it renewed: once in the TTL. */
  readonly look: CallCost;
  /** Another stream of a client that takes a lease over, beside the renewal that it is. */
  readonly takeOver: CallCost;
  /** A server process, each second, busy or idle. */
  readonly idle: CallCost;
  /** A waiting call, each second. */
  readonly waiting: CallCost;
  readonly snapshot: SnapshotCosts;
  readonly server: {
    /** Resident memory of a server process without streams, and for each stream. */
    readonly emptyBytes: number;
    readonly streamBytes: number;
  };
  /** What calibration.ts measured on the same machine. */
  readonly calibration: { readonly redisCpuUs: number; readonly ownCpuUs: number };
}

/** The lengths that the figures were measured with. */
export const NAME_BYTES = 32;
export const OWNER_BYTES = 24;
/** Of an owner and its metadata, up to which the text about a holder stays below hash-max-listpack-value 512. */
export const PACKED_BYTES = 480;
/** The server renews in turns of 50 ms, and what is due in one turn shares batches (service/renewal-wheel.ts). */
export const TURNS_PER_SECOND = 20;
export const LARGEST_BATCH = 200;
/** Streams and waiting calls at most on one connection, unless server.max_concurrent_streams is another. */
export const STREAMS_PER_CONNECTION = 1_000;

/** How many renewals share a batch, when one server process makes so many a second. */
export function batchOf(renewalsPerSecond: number): number {
  return Math.min(Math.max(renewalsPerSecond / TURNS_PER_SECOND, 1), LARGEST_BATCH);
}

/**
 * Bytes of the table of one of Redis's dictionaries with so many entries. The table doubles when it is full, so one
 * entry more can cost as much as all before.
 */
export function tableBytes(entries: number): number {
  return entries === 0 ? 0 : 8 * 2 ** Math.ceil(Math.log2(Math.max(entries, 4)));
}
