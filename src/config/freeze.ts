// Makes a value read-only at every depth. A secret is so by itself.

import { Secret } from './secret.ts';

export function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !(value instanceof Secret)) {
    for (const inner of Object.values(value)) freeze(inner);
    Object.freeze(value);
  }
  return value;
}
