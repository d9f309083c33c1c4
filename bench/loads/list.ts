// Reads pages of ListLocks or ListOperations, one after the other, from a given token on. It also writes the one record
// that is copied, and checks whether the server knows a copy.
import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import { LockState } from '../../generated/leasehold/v1/lock.ts';
import {
  AcquireRequest,
  type GetLockResponse,
  ListLocksRequest,
  LockServiceClient,
} from '../../generated/leasehold/v1/lock_service.ts';
import { OperationState } from '../../generated/leasehold/v1/operation.ts';
import {
  BeginOperationRequest,
  type GetOperationResponse,
  ListOperationsRequest,
  OperationStoreServiceClient,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import { Latencies, type Percentiles } from './latencies.ts';
import { duration, promised } from './promised.ts';

export type Listed = 'locks' | 'operations';

export interface RecordOrder {
  /** `write` writes the record of a resource; `check` fails if the server has no such record. */
  readonly kind: 'write' | 'check';
  readonly address: string;
  readonly what: Listed;
  readonly resource: string;
  readonly ttlMs: number;
}

export interface ListOrder {
  readonly kind: 'list';
  readonly address: string;
  readonly what: Listed;
  readonly pageSize: number;
  /** Empty for the first page. */
  readonly token: string;
  /** The most pages to read; the list may end sooner. */
  readonly pages: number;
  /** How often to read these pages. */
  readonly times: number;
}

export interface ListSeen {
  readonly records: number;
  readonly tookMs: number;
  readonly pages: number;
  readonly page: Percentiles;
  /** The token of the page behind each page, once; the last one is empty if the list has ended. */
  readonly tokens: readonly string[];
}

interface Page {
  readonly records: number;
  readonly nextPageToken: string;
}

/** A page of many records is larger than a client accepts by default. */
const LARGEST_MESSAGE = 16 * 1_048_576;

const OPERATION_ID = 'bench';
const TYPE = 'bench';
const OWNER = 'bench-worker@host';

export async function writeOrCheck({ kind, address, what, resource, ttlMs }: RecordOrder): Promise<void> {
  const locks = new LockServiceClient(address, credentials.createInsecure());
  const operations = new OperationStoreServiceClient(address, credentials.createInsecure());
  const name = { resource, operationId: OPERATION_ID };
  if (kind === 'write' && what === 'locks') {
    const spec = { resource, leaseId: randomUUID(), owner: OWNER, ttl: duration(ttlMs) };
    await promised((done) => locks.acquire(AcquireRequest.fromPartial({ spec }), done));
  } else if (kind === 'write') {
    const labels = new Map([['customer', '4711']]);
    const request = { ...name, type: TYPE, owner: OWNER, labels, requestId: randomUUID() };
    await promised((done) => operations.beginOperation(BeginOperationRequest.fromPartial(request), done));
  } else if (what === 'locks') {
    const { lock } = await promised<GetLockResponse>((done) => locks.getLock({ resource }, done));
    const isRight = lock?.state === LockState.LOCK_STATE_HELD && lock.holders[0]?.owner === OWNER;
    if (!isRight) throw new Error(`the copy of a lock is wrong: ${JSON.stringify(lock?.holders.length)}`);
  } else {
    const { operation } = await promised<GetOperationResponse>((done) => operations.getOperation(name, done));
    const isRight =
      operation?.state === OperationState.OPERATION_STATE_PENDING &&
      operation.resource === resource &&
      operation.labels.get('customer') === '4711';
    if (!isRight) throw new Error(`the copy of an operation is wrong: ${operation?.state}`);
  }
  locks.close();
  operations.close();
}

export async function list({ address, what, pageSize, token, pages, times }: ListOrder): Promise<ListSeen> {
  const security = credentials.createInsecure();
  const options = { 'grpc.max_receive_message_length': LARGEST_MESSAGE };
  const locks = new LockServiceClient(address, security, options);
  const operations = new OperationStoreServiceClient(address, security, options);
  const read = async (pageToken: string): Promise<Page> => {
    if (what === 'locks') {
      const request = ListLocksRequest.fromPartial({ pageSize, pageToken });
      const found = await promised<{ locks: unknown[]; nextPageToken: string }>((done) =>
        locks.listLocks(request, done),
      );
      return { records: found.locks.length, nextPageToken: found.nextPageToken };
    }
    const request = ListOperationsRequest.fromPartial({ pageSize, pageToken });
    const found = await promised<{ operations: unknown[]; nextPageToken: string }>((done) =>
      operations.listOperations(request, done),
    );
    return { records: found.operations.length, nextPageToken: found.nextPageToken };
  };
  const latencies = new Latencies();
  let [records, pagesRead] = [0, 0];
  let tokens: string[] = [];
  const startedMs = performance.now();
  for (let time = 0; time < times; time++) {
    tokens = [];
    let next = token;
    do {
      const page = await latencies.of(() => read(next));
      next = page.nextPageToken;
      records += page.records;
      tokens.push(next);
    } while (next !== '' && tokens.length < pages);
    pagesRead += tokens.length;
  }
  const tookMs = performance.now() - startedMs;
  locks.close();
  operations.close();
  return { records, tookMs, pages: pagesRead, page: latencies.percentiles(), tokens };
}
