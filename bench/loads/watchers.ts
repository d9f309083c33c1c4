// Streams that all watch the same lock or operation, and a caller that changes it again and again, each time a while
// after the last of them has heard of the previous change.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { credentials } from '@grpc/grpc-js';
import {
  AcquireRequest,
  LockServiceClient,
  WatchLocksRequest,
} from '../../generated/leasehold/v1/lock_service.ts';
import {
  BeginOperationRequest,
  type BeginOperationResponse,
  OperationStoreServiceClient,
  UpdateOperationRequest,
  WatchOperationsRequest,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import { Latencies, type Percentiles } from './latencies.ts';
import { duration, promised } from './promised.ts';
import { fieldBehind, RawConnection } from './raw-streams.ts';

export type Watched = 'locks' | 'operations';

export type WatchersOrder =
  | {
      readonly kind: 'watchers';
      readonly address: string;
      readonly what: Watched;
      readonly watchers: number;
    }
  | { readonly kind: 'change'; readonly times: number }
  | { readonly kind: 'stop-watching' };

export interface Changes {
  readonly changes: number;
  /** The messages that all watchers together received. */
  readonly messages: number;
  readonly tookMs: number;
  /** From before the call that makes the change until the last watcher was told. */
  readonly all: Percentiles;
  /** The same from the reply to that call; 0 if all were told before. */
  readonly fromReply: Percentiles;
}

const METHODS = {
  locks: '/leasehold.v1.LockService/WatchLocks',
  operations: '/leasehold.v1.OperationStoreService/WatchOperations',
};
/** The fields of the events in the two responses. */
const EVENTS = {
  locks: { state: 1, snapshotComplete: 2 },
  operations: { state: 1, snapshotComplete: 3 },
};
const WATCHERS_PER_CONNECTION = 1_000;
const HEARTBEAT_MS = 30_000;
/** Between two changes: longer than the server gathers what follows a change. */
const APART_MS = 75;
/** If a watcher hasn't heard of a change for this long, it is an error. */
const HEARD_WITHIN_MS = 10_000;
const RESOURCE = `bench-watched-${randomUUID().slice(0, 8)}`;

export class Watchers {
  readonly #what: Watched;
  readonly #watchers: number;
  readonly #address: string;
  readonly #connections: RawConnection[] = [];
  readonly #locks: LockServiceClient;
  readonly #operations: OperationStoreServiceClient;
  #change: () => Promise<unknown> = async () => {};
  #complete = 0;
  #messages = 0;
  #heard = 0;
  #awaited = 0;
  #allHeard: () => void = () => {};
  #lastHeardMs = 0;

  constructor(address: string, what: Watched, watchers: number) {
    this.#what = what;
    this.#watchers = watchers;
    this.#address = address;
    this.#locks = new LockServiceClient(address, credentials.createInsecure());
    this.#operations = new OperationStoreServiceClient(address, credentials.createInsecure());
  }

  /** Returns when all watchers have their snapshot. */
  async open(): Promise<void> {
    this.#change = this.#what === 'locks' ? this.#lockChange() : await this.#operationChange();
    const request =
      this.#what === 'locks'
        ? WatchLocksRequest.encode(WatchLocksRequest.fromPartial({ resources: [RESOURCE] })).finish()
        : WatchOperationsRequest.encode(
            WatchOperationsRequest.fromPartial({ filter: { resource: RESOURCE } }),
          ).finish();
    const events = EVENTS[this.#what];
    for (let watcher = 0; watcher < this.#watchers; watcher++) {
      if (watcher % WATCHERS_PER_CONNECTION === 0) {
        this.#connections.push(await RawConnection.open(this.#address, METHODS[this.#what]));
      }
      this.#connections.at(-1)?.call(request, {
        message: (bytes) => {
          const event = fieldBehind(0, bytes);
          if (event === events.snapshotComplete) this.#complete++;
          else if (event === events.state && this.#complete >= this.#watchers) this.#told();
        },
        ended: () => {
          throw new Error('a watch has ended');
        },
      });
    }
    while (this.#complete < this.#watchers) await sleep(10);
  }

  async change(times: number): Promise<Changes> {
    const all = new Latencies();
    const fromReply = new Latencies();
    const before = this.#messages;
    const startedMs = performance.now();
    for (let time = 0; time < times; time++) {
      await sleep(APART_MS);
      const heard = this.#hearFromAll();
      const calledMs = performance.now();
      await this.#change();
      const repliedMs = performance.now();
      await heard;
      all.add(this.#lastHeardMs - calledMs);
      fromReply.add(Math.max(this.#lastHeardMs - repliedMs, 0));
    }
    return {
      changes: times,
      messages: this.#messages - before,
      tookMs: performance.now() - startedMs,
      all: all.percentiles(),
      fromReply: fromReply.percentiles(),
    };
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
    this.#locks.close();
    this.#operations.close();
  }

  #told(): void {
    this.#messages++;
    if (++this.#heard < this.#awaited) return;
    this.#lastHeardMs = performance.now();
    this.#allHeard();
  }

  async #hearFromAll(): Promise<void> {
    this.#heard = 0;
    this.#awaited = this.#watchers;
    const { promise: allHeard, resolve } = Promise.withResolvers<void>();
    this.#allHeard = resolve;
    const late = new AbortController();
    const silent = sleep(HEARD_WITHIN_MS, undefined, { signal: late.signal }).then(
      () => {
        throw new Error(`${this.#heard} of ${this.#watchers} watchers have heard of a change`);
      },
      () => undefined,
    );
    await Promise.race([allHeard, silent]);
    late.abort();
  }

  #lockChange(): () => Promise<unknown> {
    let leaseId: string | undefined;
    return () => {
      const held = leaseId;
      if (held) {
        leaseId = undefined;
        return promised((done) => this.#locks.release({ resource: RESOURCE, leaseId: held }, done));
      }
      leaseId = randomUUID();
      const spec = { resource: RESOURCE, leaseId, owner: 'bench', ttl: duration(HEARTBEAT_MS) };
      return promised((done) => this.#locks.acquire(AcquireRequest.fromPartial({ spec }), done));
    };
  }

  async #operationChange(): Promise<() => Promise<unknown>> {
    const ids = { resource: RESOURCE, operationId: randomUUID(), claimId: randomUUID() };
    const begin = BeginOperationRequest.fromPartial({
      ...ids,
      type: 'bench',
      owner: 'bench',
      requestId: randomUUID(),
      heartbeatTimeout: duration(HEARTBEAT_MS),
    });
    const { attempt } = await promised<BeginOperationResponse>((done) =>
      this.#operations.beginOperation(begin, done),
    );
    let step = 0;
    return () => {
      const update = UpdateOperationRequest.fromPartial({
        ...ids,
        fencingToken: attempt?.fencingToken ?? 0n,
        setLabels: new Map([['step', String(++step)]]),
        requestId: randomUUID(),
      });
      return promised((done) => this.#operations.updateOperation(update, done));
    };
  }
}
