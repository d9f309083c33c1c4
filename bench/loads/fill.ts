// Puts a number of locks or operations into a server's Redis and leaves them there.
import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import { AcquireRequest, LockServiceClient } from '../../generated/leasehold/v1/lock_service.ts';
import {
  BeginOperationRequest,
  OperationStoreServiceClient,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import type { FillOrder } from '../load-order.ts';
import { duration, promised } from './promised.ts';

const AT_ONCE = 64;
/** The longest TTL that a server allows by default. */
const TTL_MS = 30_000;

export async function fill({ address, what, count }: FillOrder): Promise<number> {
  const security = credentials.createInsecure();
  const locks = new LockServiceClient(address, security);
  const operations = new OperationStoreServiceClient(address, security);
  const run = randomUUID().slice(0, 8);
  let next = 0;
  const filler = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const name = { resource: `${run}/${index}`, owner: 'bench' };
      if (what === 'locks') {
        const spec = { ...name, leaseId: randomUUID(), ttl: duration(TTL_MS) };
        await promised((done) => locks.acquire(AcquireRequest.fromPartial({ spec }), done));
      } else {
        const operationId = randomUUID();
        const request = { ...name, operationId, type: 'bench', requestId: randomUUID() };
        await promised((done) => operations.beginOperation(BeginOperationRequest.fromPartial(request), done));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, filler));
  locks.close();
  operations.close();
  return count;
}
