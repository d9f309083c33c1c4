// What makes two BeginOperation calls of one id the same: the hash of type, data and labels, as they were sent.

import { createHash } from 'node:crypto';
import type { OperationSpec } from '../domain/operation.ts';

/** A SHA-256 as 43 characters. Each part is preceded by its length, so that no two contents are written alike. */
export function contentHash({ type, data, labels }: Pick<OperationSpec, 'type' | 'data' | 'labels'>): string {
  const hash = createHash('sha256');
  const add = (part: Uint8Array): void => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    hash.update(length).update(part);
  };
  add(Buffer.from(type));
  add(data ?? Buffer.alloc(0));
  const pairs = [...labels].map(([key, value]) => [Buffer.from(key), Buffer.from(value)] as const);
  for (const [key, value] of pairs.toSorted(([a], [b]) => Buffer.compare(a, b))) {
    add(key);
    add(value);
  }
  return hash.digest('base64url');
}
