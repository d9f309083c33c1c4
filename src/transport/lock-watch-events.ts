// The events of a watch of locks, as the messages of WatchLocks.

import type { WatchLocksResponse } from '../../generated/leasehold/v1/lock_service.ts';
import type { LockView } from '../domain/lock.ts';
import type { Flow, WatchEvent, WatchSink } from '../service/watch-call.ts';
import { encodeLock } from './encode-lock.ts';
import type { Send } from './stream.ts';

/** One message for all watches that are told a state. */
const encoded = new WeakMap<LockView, WatchLocksResponse>();

export function watchSink(send: Send<WatchLocksResponse>, flow: Flow): WatchSink<LockView> {
  return { flow, weight: 1, tell: (event) => send(encode(event), slotOf(event)) };
}

function encode(event: WatchEvent<LockView>): WatchLocksResponse {
  if (event.kind === 'snapshot-complete') return { event: { $case: 'snapshotComplete', value: {} } };
  if (event.kind === 'heartbeat') return { event: { $case: 'heartbeat', value: {} } };
  const known = encoded.get(event.state);
  if (known) return known;
  const message: WatchLocksResponse = { event: { $case: 'lock', value: encodeLock(event.state) } };
  encoded.set(event.state, message);
  return message;
}

function slotOf(event: WatchEvent<LockView>): string | undefined {
  if (event.kind === 'snapshot-complete') return undefined;
  return event.kind === 'heartbeat' ? 'heartbeat' : `lock ${event.name}`;
}
