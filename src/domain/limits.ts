// A limit on everything that a caller can make large, in one place, with units. Validation, the proto
// comments and GetServerInfo speak of these numbers; limits that the operator may choose live in the
// configuration.

export const LIMITS = {
  /** Bytes of UTF-8 of a resource name: at least 1. */
  resourceBytes: 512,
  /** Bytes of UTF-8 of an owner; may be empty. */
  ownerBytes: 256,
  metadataEntries: 16,
  /** Characters of a metadata key, from [a-z0-9._-]. */
  metadataKeyChars: 64,
  /** Bytes of UTF-8 of one metadata value. */
  metadataValueBytes: 256,
  /** Bytes of all metadata keys and values together. */
  metadataTotalBytes: 2_048,
  /** Bytes of UTF-8 of the reason for a forced release. */
  reasonBytes: 256,
  minTtlMs: 1_000,
  minHoldMs: 24 * 3_600_000,
  maxHoldMs: 30 * 24 * 3_600_000,
  /** The longest wait of one unary call. */
  unaryWaitMs: 30 * 60_000,
  /** Resources of one AcquireMany. */
  acquireMany: 32,
  /** The longest wait of one Hold. */
  streamWaitMs: 365 * 24 * 3_600_000,
  /** Leases of one KeepAlive. */
  keepAliveLeases: 64,
  minRenewForMs: 1_000,
  /** The longest time for which a stream renews without a newer one. */
  renewForMs: 30 * 60_000,
  /** Leases that one instance may keep for its streams. */
  keptLeasesPerInstance: 200_000,
  /** Callers that may wait for one resource, absent ones included. */
  waitersPerResource: 20_000,
  /** Calls that may wait on one instance. */
  waitersPerInstance: 50_000,
  /** The largest limit that a PERMITS lease may name. */
  permits: 1_000_000,
  /** Replicas that a request may require for its grant. */
  minAcks: 16,
  /** Holders and waiters that GetLock lists; counts are always exact. */
  listedPerLock: 100,
  /** Holders and waiters of each lock that a page or a watch lists. */
  listedPerPagedLock: 10,
  /** Locks in a page that names no size. */
  defaultPage: 100,
  /** Locks in a page. */
  largestPage: 500,
  /** Locks in a list of contended locks that names no limit, and in any. */
  defaultContended: 20,
  mostContended: 100,
  /** Names, holders and waiters that one page looks at; a single lock may exceed it. */
  looksPerPage: 1_000,
  /** Bytes of a page; its last lock may exceed it. */
  pageBytes: 1_048_576,
  /** Resources that one watch names. */
  watchedResources: 100,
  /** Watches on one instance. */
  watchesPerInstance: 10_000,
  /** States that wait for one watch's client to read them. */
  unreadPerWatch: 10_000,
  /** Locks that have changed and that one instance's watches have not read yet. */
  unreadChanges: 100_000,
  /** Bytes of UTF-8 of an operation's id: at least 1. */
  operationIdBytes: 128,
  /** Characters of an operation's type, from [A-Za-z0-9._/-]: at least 1. */
  operationTypeChars: 128,
  /**
   * The largest limit that an operator may set for the bytes of each of an operation's data, progress, result and
   * error, in the encoding of their message. A page with such an operation as its last stays below 4 MiB, which is what
   * gRPC clients take if they set nothing.
   */
  largestPayloadBytes: 512 * 1_024,
  defaultPayloadBytes: 32 * 1_024,
  /** Bytes of UTF-8 of the reason of a cancellation. */
  cancelReasonBytes: 256,
  /** Bytes of UTF-8 of a worker's message about a cancelled operation. */
  cancelledMessageBytes: 1_024,
  /** Keys of labels that one update may remove. */
  removedLabels: 64,
  /** Attempts of one operation that may go stale. */
  maxAttempts: 1_000,
  defaultMaxAttempts: 5,
  minTimeToLiveMs: 1_000,
  /** The longest time to live of an operation; also the longest delay of a yielded one. */
  timeToLiveMs: 365 * 24 * 3_600_000,
  /** How long a finished operation may stay. */
  retentionMs: 365 * 24 * 3_600_000,
  defaultRetentionMs: 7 * 24 * 3_600_000,
  /** Requests that the record of an operation remembers, so that the repeat of one of them has no second effect. */
  rememberedRequests: 8,
  /** Claims that it remembers, so that the repeat of one of them finds what it got. */
  rememberedClaims: 8,
  /** Operations of one ClaimOperations. */
  claimedOperations: 32,
  /** Bytes of payloads that one ClaimOperations may answer with. */
  claimedBytes: 3 * 1_048_576,
  /** Operation types that one claim or filter may name. */
  typesPerRequest: 16,
  /** Claims that may wait on one instance. */
  waitingClaimsPerInstance: 10_000,
  /** Calls that may wait on one instance for operations to finish. */
  waitsPerInstance: 50_000,
} as const;
