// A WatchLocks stream as a test reads it: all events so far, what they say about each lock, and how the stream ended.

import { type ClientReadableStream, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { Lock } from '../../generated/leasehold/v1/lock.ts';
import { WatchLocksRequest, type WatchLocksResponse } from '../../generated/leasehold/v1/lock_service.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { eventually } from './eventually.ts';
import type { TestClient } from './test-instance.ts';

const WITHIN_MS = 20_000;

export class WatchStream {
  readonly call: ClientReadableStream<WatchLocksResponse>;
  readonly events: { readonly kind: string; readonly lock: Lock | undefined; readonly atMs: number }[] = [];
  #end: CallError | undefined;

  /** `reads`: false for a client that reads nothing until `call.resume()`. */
  constructor(
    { stub }: TestClient,
    request: Parameters<typeof WatchLocksRequest.fromPartial>[0] = {},
    { reads = true } = {},
  ) {
    this.call = stub.watchLocks(WatchLocksRequest.fromPartial(request), new Metadata());
    this.call.on('data', ({ event }: WatchLocksResponse) =>
      this.events.push({
        kind: event?.$case ?? 'none',
        lock: event?.$case === 'lock' ? event.value : undefined,
        atMs: performance.now(),
      }),
    );
    if (!reads) this.call.pause();
    this.call.on('error', (error: ServiceError) => {
      this.#end = new CallError(error);
    });
  }

  /** The locks that the stream told, in order, as "resource holders/waiters". */
  told(): string[] {
    return this.events.flatMap(({ lock }) => (lock ? [looks(lock)] : []));
  }

  get isComplete(): boolean {
    return this.events.some(({ kind }) => kind === 'snapshotComplete');
  }

  count(kind: string): number {
    return this.events.filter((event) => event.kind === kind).length;
  }

  /** The newest state of a lock. */
  newest(resource: string): Lock | undefined {
    return this.events.findLast(({ lock }) => lock?.resource === resource)?.lock;
  }

  async complete(): Promise<this> {
    await this.until(() => this.isComplete, 'a complete snapshot');
    return this;
  }

  /** Waits until the stream tells this state of a lock: "resource holders/waiters". */
  shows(look: string): Promise<unknown> {
    const [resource = ''] = look.split(/ (?=\d+\/\d+$)/);
    return this.until(() => {
      const lock = this.newest(resource);
      return lock !== undefined && looks(lock) === look;
    }, look);
  }

  until(condition: () => boolean, what: string): Promise<unknown> {
    const alive = (): boolean => {
      if (condition()) return true;
      if (this.#end) throw this.#end;
      return false;
    };
    return eventually(alive, { what, withinMs: WITHIN_MS, everyMs: 5 });
  }

  async ended(): Promise<CallError> {
    return eventually(() => this.#end ?? false, {
      what: 'the end of the watch',
      withinMs: 60_000,
      everyMs: 5,
    });
  }
}

export function looks({ resource, holderCount, waiterCount }: Lock): string {
  return `${resource} ${holderCount}/${waiterCount}`;
}
