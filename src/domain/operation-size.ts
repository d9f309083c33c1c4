// How much of a page or a reply an operation takes. Owns an estimate that both stores share, so that their pages end
// alike; what it is compared with is LIMITS.pageBytes.

import type { Operation } from './operation.ts';

/** What a record has besides its texts and payloads: numbers, times, field tags. */
const REST_BYTES = 512;

/** An estimate, in bytes. */
export function operationBytes(operation: Operation): number {
  const { resource, operationId, type, owner, cancelReason, lock, data, progress, outcome } = operation;
  // The operation's name repeats resource and id, percent-encoded.
  const texts = [resource, resource, operationId, operationId, type, owner, cancelReason, lock?.owner ?? ''];
  texts.push(...[...operation.labels, ...(lock?.metadata ?? [])].flat());
  const payloads = [data, progress, outcome?.value].map((payload) => payload?.length ?? 0);
  const counted = [REST_BYTES, ...texts.map((text) => Buffer.byteLength(text)), ...payloads];
  return counted.reduce((sum, bytes) => sum + bytes, 0);
}
