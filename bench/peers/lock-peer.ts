// What takes and releases locks for the load: Leasehold, the floor, or another product.

export interface LockPeer {
  /** Makes a caller that takes and releases its own lock, one call after the other. */
  caller(index: number): Promise<LockCaller>;
  close(): void;
}

/** Each call settles when its answer arrives, and rejects if the answer isn't a yes. */
export interface LockCaller {
  /** Uses a new id each time. */
  acquire(): Promise<unknown>;
  release(): Promise<unknown>;
}

/** A name that nobody else uses, in this process or another. */
export function resourceOf(caller: number): string {
  return `bench-${process.pid}-${caller}`;
}
