// Pages of operations in Redis. The script knows only names, and lists piece by piece. Here the filter of the domain
// decides which operations fit, up to a bound of looks and of bytes.

import { LIMITS } from '../../domain/limits.ts';
import { keyOfName, nameOf, type Operation, type OperationKey } from '../../domain/operation.ts';
import { fits } from '../../domain/operation-filter.ts';
import { operationBytes } from '../../domain/operation-size.ts';
import type { OperationPage, OperationQuery } from '../operation-store.ts';
import { operationOfListing, recordsOf } from './operation-replies.ts';

/** The most pieces that one page looks at. */
const ROUNDS = 10;
/** Records of one piece. Redis does nothing else while it reads them: for a millisecond or so. */
const PIECE = 100;
/** Records with payloads of one reply. */
const WHOLE_PIECE = 10;

export interface ListingReads {
  /** Runs list-operations. */
  readonly list: (args: readonly string[]) => Promise<readonly string[]>;
  readonly getMany: (keys: readonly OperationKey[]) => Promise<readonly (Operation | undefined)[]>;
}

export async function listOperations(reads: ListingReads, query: OperationQuery): Promise<OperationPage> {
  const page = await pageWithoutPayloads(reads, query);
  return query.withPayloads ? withPayloads(reads, page) : page;
}

async function pageWithoutPayloads(reads: ListingReads, query: OperationQuery): Promise<OperationPage> {
  const { filter, most } = query;
  const prefix = filter.resource === undefined ? (filter.resourcePrefix ?? '') : `${filter.resource}\t`;
  const operations: Operation[] = [];
  let last = query.after;
  let bytes = 0;
  let looks = 0;
  for (let round = 0; round < ROUNDS; round++) {
    // While all of them fit: as many as the page lacks, and one that tells whether another page follows.
    const piece = looks === operations.length ? Math.min(PIECE, most - operations.length + 1) : PIECE;
    const args = [last ? nameOf(last) : '', prefix, String(piece), String(LIMITS.pageBytes)];
    const [, , more, ...records] = await reads.list(args);
    for (const operation of recordsOf(records).map(operationOfListing)) {
      if (operations.length === most || bytes >= LIMITS.pageBytes) return { operations, last };
      last = keyOfName(nameOf(operation));
      looks++;
      if (!fits(operation, filter)) continue;
      operations.push(operation);
      bytes += operationBytes(operation);
    }
    if (more !== '1') return { operations, last: undefined };
  }
  return { operations, last };
}

/** The page with payloads, which may end earlier because of them. */
async function withPayloads(reads: ListingReads, page: OperationPage): Promise<OperationPage> {
  const operations: Operation[] = [];
  let bytes = 0;
  for (let at = 0; at < page.operations.length; at += WHOLE_PIECE) {
    const named = page.operations.slice(at, at + WHOLE_PIECE);
    const whole = await reads.getMany(named);
    for (const [index, operation] of whole.entries()) {
      if (bytes >= LIMITS.pageBytes) return { operations, last: page.operations[at + index - 1] };
      if (!operation) continue; // it was removed meanwhile
      operations.push(operation);
      bytes += operationBytes(operation);
    }
  }
  return { operations, last: page.last };
}
