// The names of all keys. Each starts with the configured prefix and the hash tag of its bucket, so a bucket lies in one
// slot of a cluster. What a caller chose comes last, so no two resources share a key, whatever they contain.

const BUCKET = 0;

/** Number of buckets: 1 on Sentinel and on a single Redis. Kept in `meta`. */
export const BUCKETS = 1;

export interface Keys {
  /** What the name of every key and channel begins with. */
  readonly bucket: string;
  /**
   * Hash: the reign, the lease clock, the last token, the quarantine's end, the deployment's constants. The scripts
   * derive all other keys of the bucket from its name: see lua/locking.lua.
   */
  readonly meta: string;
  /** Sorted set: resource → the moment on the lease clock before which nothing about the lock changes by itself. */
  readonly deadlines: string;
  /** Sorted set: the same resources, in the order of their bytes. */
  readonly names: string;
  /** Sorted set: the waiters of all queues. */
  readonly patience: string;
  /** A lock's hash is this and the resource. */
  readonly lockPrefix: string;
  /** The channel on which an instance hears of its waiters. */
  channel(instanceId: string): string;
  /** The channel on which instances that watch hear of changes. */
  readonly changes: string;
}

/** `prefix` holds no brace: the first braces of a key are its hash tag. */
export function keysFor(prefix: string): Keys {
  const bucket = `${prefix}{${BUCKET}}:`;
  return {
    bucket,
    meta: `${bucket}meta`,
    deadlines: `${bucket}deadlines`,
    names: `${bucket}names`,
    patience: `${bucket}patience`,
    lockPrefix: `${bucket}lock:`,
    channel: (instanceId) => `${bucket}instance:${instanceId}`,
    changes: `${bucket}changes`,
  };
}
