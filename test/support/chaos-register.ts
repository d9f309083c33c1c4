// A register with a compare-and-set, as the smallest model for the tests of the search for an order; porcupine has
// the same in test/chaos/porcupine/main.go.

import type { Model } from '../chaos/checker/linearizability.ts';

export interface RegisterOp {
  readonly kind: 'read' | 'write' | 'cas';
  /** The value that is read or written. */
  readonly value: number;
  /** For a cas: the value that has to be there. */
  readonly expected?: number;
  /** For a cas whose outcome is known: whether it found that value. */
  readonly isSwapped?: boolean;
  readonly isKnown: boolean;
}

export const REGISTER: Model<number, RegisterOp> = {
  initial: 0,
  step: (state, { kind, value, expected, isSwapped, isKnown }) => {
    if (kind === 'read') return state === value ? [state] : [];
    if (kind === 'write') return [value];
    if (isKnown && isSwapped !== (state === expected)) return [];
    return [state === expected ? value : state];
  },
  key: String,
  isRead: ({ kind }) => kind === 'read',
};
