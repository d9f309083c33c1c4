// The operations of a run. Their names are made from the time, alike in all processes, so that several clients begin
// the same operation and a client can ask for one without having heard of it.

import type { Any } from '../../../generated/google/protobuf/any.ts';
import { nowMs } from '../history.ts';
import type { Dice } from './dice.ts';
import { LOCKED_RESOURCES, PLAIN_RESOURCES } from './hot-resources.ts';

/** How often each resource has a new operation. */
const NEW_EVERY_MS = 2_000;

export interface OperationName {
  readonly resource: string;
  readonly operationId: string;
}

/** Whether its attempts hold a lock. It follows from the name, like everything that Begin compares. */
export function isLocked({ resource }: OperationName): boolean {
  return resource.startsWith('work/');
}

/** The type of the operation. */
export function typeOf(name: OperationName): string {
  return isLocked(name) ? 'chaos/locked' : 'chaos/plain';
}

export const TYPES = ['chaos/plain', 'chaos/locked'] as const;

/** An operation that is begun about now. */
export function currentOperation(dice: Dice): OperationName {
  return operationAt(dice, nowMs());
}

/** An operation of the last so many milliseconds, if a client has begun it. */
export function operationSince(dice: Dice, agoMs: number): OperationName {
  return operationAt(dice, nowMs() - dice.between(0, agoMs));
}

function operationAt(dice: Dice, atMs: number): OperationName {
  const resource = dice.pick([...PLAIN_RESOURCES, ...LOCKED_RESOURCES]);
  const number = Math.floor(atMs / NEW_EVERY_MS);
  return { resource, operationId: `${resource.replace('/', '-')}-${number}` };
}

/** Of a type that nobody knows, since payloads are opaque. */
export function payload(text: string): Any {
  return { typeUrl: 'example.com/Text', value: Buffer.from(text) };
}

export function textOf(any: Any | undefined): string {
  return any === undefined ? '' : Buffer.from(any.value).toString();
}
