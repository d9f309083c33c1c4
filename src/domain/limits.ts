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
  /** Leases that one instance may keep for its streams. */
  keptLeasesPerInstance: 200_000,
  /** Callers that may wait for one resource, absent ones included. */
  waitersPerResource: 20_000,
  /** Calls that may wait on one instance. */
  waitersPerInstance: 50_000,
  /** Most permits of a limit that a PERMITS lease may name. */
  permits: 1_000_000,
  /** Replicas that a request may want its grant to be on. */
  minAcks: 16,
  /** Holders and waiters listed in one Lock or Contention message; counts are always exact. */
  listedPerLock: 100,
} as const;
