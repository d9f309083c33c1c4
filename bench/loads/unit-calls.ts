// Calls of one kind after the other, with names and texts of a given length: what the figures of `leasehold capacity` are
// measured with. It remembers what it has made, so that later calls renew, release, claim and complete it.
import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import { AcquireRequest, LockServiceClient } from '../../generated/leasehold/v1/lock_service.ts';
import {
  BeginOperationRequest,
  ClaimOperationsRequest,
  type ClaimOperationsResponse,
  CompleteOperationRequest,
  OperationStoreServiceClient,
  UpdateOperationRequest,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import type { CallKind } from '../../src/capacity/unit-costs.ts';
import { duration, promised } from './promised.ts';

export interface UnitCallsOrder {
  readonly kind: 'unit-calls';
  readonly address: string;
  /** `wait` sends the calls, and doesn't wait for their answers. */
  readonly what: CallKind | 'wait';
  readonly count: number;
  readonly nameBytes: number;
  readonly ownerBytes: number;
  readonly metadataBytes?: number;
  readonly payloadBytes?: number;
  readonly mode?: 'exclusive' | 'shared' | 'permits';
  /** Waiting calls are spread over so many of the locks that are held. */
  readonly queues?: number;
}

interface Held {
  readonly resource: string;
  readonly leaseId: string;
  readonly fencingToken: bigint;
}

interface Running {
  readonly resource: string;
  readonly operationId: string;
  readonly claimId: string;
  readonly fencingToken: bigint;
}

const AT_ONCE = 64;
const CONTENDED_LOCKS = 16;
const CALLS_PER_CONNECTION = 900;
const WAIT_MS = 25 * 60_000;
const TTL_MS = 10 * 60_000;
const TYPE = 'bench';
const LONGEST_METADATA = 256;

const MODES = {
  exclusive: { $case: 'exclusive' as const, exclusive: {} },
  shared: { $case: 'shared' as const, shared: {} },
  permits: { $case: 'permits' as const, permits: { permits: 1, limit: 5 } },
};

export class UnitCalls {
  readonly #held: Held[] = [];
  readonly #running: Running[] = [];
  readonly #waiting: LockServiceClient[] = [];
  readonly #locks: LockServiceClient;
  readonly #operations: OperationStoreServiceClient;
  #made = 0;

  constructor(address: string) {
    this.#locks = new LockServiceClient(address, credentials.createInsecure());
    this.#operations = new OperationStoreServiceClient(address, credentials.createInsecure());
  }

  /** Resolves when all are answered; those that wait, when all are sent. */
  async make(order: UnitCallsOrder): Promise<number> {
    const { what, count } = order;
    if (what === 'wait') {
      this.#wait(order);
      return count;
    }
    let next = 0;
    const caller = async (number: number): Promise<void> => {
      for (let index = next++; index < count; index = next++) await this.#call(order, index, number);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, (_, number) => caller(number)));
    if (what === 'release') this.#held.splice(0, count);
    if (what === 'complete') this.#running.splice(0, count);
    return count;
  }

  #call(order: UnitCallsOrder, index: number, caller: number): Promise<unknown> {
    switch (order.what) {
      case 'acquire':
        return this.#acquire(order);
      case 'waited':
        return this.#cycle(order, caller);
      case 'record':
        return this.#record(order);
      case 'claim':
        return this.#claim(order);
    }
    const held = this.#held[index % Math.max(this.#held.length, 1)];
    const running = this.#running[index];
    if (order.what === 'renew' && held) {
      return promised((done) => this.#locks.renew({ ...held, ttl: undefined }, done));
    }
    if (order.what === 'release' && held) {
      const { resource, leaseId } = held;
      return promised((done) => this.#locks.release({ resource, leaseId }, done));
    }
    if (order.what === 'update' && running) {
      const request = { ...running, setLabels: new Map([['step', '1']]), requestId: randomUUID() };
      return promised((done) =>
        this.#operations.updateOperation(UpdateOperationRequest.fromPartial(request), done),
      );
    }
    if (order.what === 'complete' && running) {
      const value = { typeUrl: 'type.googleapis.com/google.protobuf.Empty', value: Buffer.alloc(0) };
      const outcome = { $case: 'result' as const, value };
      const request = { ...running, outcome, requestId: randomUUID() };
      return promised((done) =>
        this.#operations.completeOperation(CompleteOperationRequest.fromPartial(request), done),
      );
    }
    throw new Error(`nothing is left to ${order.what}`);
  }

  async #acquire(order: UnitCallsOrder): Promise<void> {
    const spec = this.#spec(order, this.#name(order));
    const { lease } = await promised<{ lease: { fencingToken: bigint } | undefined }>((done) =>
      this.#locks.acquire(AcquireRequest.fromPartial({ spec }), done),
    );
    const { resource, leaseId } = spec;
    this.#held.push({ resource, leaseId, fencingToken: lease?.fencingToken ?? 0n });
  }

  /** More callers than locks: each grant but the first comes after a wait. */
  async #cycle(order: UnitCallsOrder, caller: number): Promise<void> {
    const spec = this.#spec(order, sized(`contended/${caller % CONTENDED_LOCKS}/`, order.nameBytes));
    const wait = { $case: 'waitTimeout' as const, value: duration(WAIT_MS) };
    await promised((done) => this.#locks.acquire(AcquireRequest.fromPartial({ spec, wait }), done));
    const { resource, leaseId } = spec;
    await promised((done) => this.#locks.release({ resource, leaseId }, done));
  }

  #wait(order: UnitCallsOrder): void {
    const { count, queues = 1 } = order;
    for (let index = 0; index < count; index++) {
      const { resource } = this.#held[index % queues] ?? { resource: '' };
      if (index % CALLS_PER_CONNECTION === 0) {
        const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_retries': 0 };
        this.#waiting.push(new LockServiceClient(order.address, credentials.createInsecure(), options));
      }
      const wait = { $case: 'waitTimeout' as const, value: duration(WAIT_MS) };
      const request = AcquireRequest.fromPartial({ spec: this.#spec(order, resource), wait });
      this.#waiting.at(-1)?.acquire(request, () => {}); // they end with the server
    }
  }

  async #record(order: UnitCallsOrder): Promise<void> {
    const { payloadBytes = 0, ownerBytes } = order;
    const request = BeginOperationRequest.fromPartial({
      resource: this.#name(order),
      operationId: randomUUID(),
      type: TYPE,
      owner: sized('owner-', ownerBytes),
      requestId: randomUUID(),
      ...(payloadBytes > 0
        ? { data: { typeUrl: 'example.com/Bench', value: Buffer.alloc(payloadBytes, 'payload ') } }
        : {}),
    });
    await promised((done) => this.#operations.beginOperation(request, done));
  }

  async #claim({ ownerBytes }: UnitCallsOrder): Promise<void> {
    const claimId = randomUUID();
    const owner = sized('owner-', ownerBytes);
    const request = ClaimOperationsRequest.fromPartial({ types: [TYPE], claimId, owner });
    const { claimed } = await promised<ClaimOperationsResponse>((done) =>
      this.#operations.claimOperations(request, done),
    );
    const [found] = claimed;
    if (!found?.operation || !found.attempt) throw new Error('nothing was left to claim');
    const { resource, operationId } = found.operation;
    this.#running.push({ resource, operationId, claimId, fencingToken: found.attempt.fencingToken });
  }

  #spec({ ownerBytes, metadataBytes = 0, mode = 'exclusive' }: UnitCallsOrder, resource: string) {
    const metadata = new Map<string, string>();
    for (let left = metadataBytes; left > 0; left -= LONGEST_METADATA) {
      metadata.set(`key-${metadata.size}`, 'x'.repeat(Math.min(left, LONGEST_METADATA)));
    }
    return {
      resource,
      leaseId: randomUUID(),
      owner: sized('owner-', ownerBytes),
      ttl: duration(TTL_MS),
      mode: MODES[mode],
      metadata,
    };
  }

  #name({ nameBytes }: UnitCallsOrder): string {
    return sized(`lock/${this.#made++}/`, nameBytes);
  }
}

function sized(beginning: string, bytes: number): string {
  return beginning.padEnd(bytes, 'x').slice(0, bytes);
}
