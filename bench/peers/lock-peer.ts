// What takes and gives back locks for the load, whoever keeps them: Leasehold, the floor, or somebody else.

export interface LockPeer {
  /** One that takes and gives back its own lock, one call after the other. */
  caller(index: number): Promise<LockCaller>;
  close(): void;
}

/** Each settles when the answer is there, and rejects when it isn't a yes. */
export interface LockCaller {
  /** Under a new id each time. */
  acquire(): Promise<unknown>;
  release(): Promise<unknown>;
}

/** Nobody else's, in this process or another. */
export function resourceOf(caller: number): string {
  return `bench-${process.pid}-${caller}`;
}
