// The events of a watch of operations, as the messages of WatchOperations.

import type { WatchOperationsResponse } from '../../generated/leasehold/v1/operation_store_service.ts';
import type { OperationNews } from '../service/operation-watch.ts';
import type { Flow, WatchEvent, WatchSink } from '../service/watch-call.ts';
import { encodeOperation, withoutPayloads } from './encode-operation.ts';
import type { Send } from './stream.ts';

/** One message for all watches that are told a state, with payloads and without. */
const encoded = {
  full: new WeakMap<OperationNews, WatchOperationsResponse>(),
  bare: new WeakMap<OperationNews, WatchOperationsResponse>(),
};

/**
 * An event with payloads takes this many places while it waits, so that clients that read slowly don't fill the memory.
 */
const WEIGHT_OF_PAYLOADS = 10;

export function operationWatchSink(
  send: Send<WatchOperationsResponse>,
  flow: Flow,
  withPayloads: boolean,
): WatchSink<OperationNews> {
  const weight = withPayloads ? WEIGHT_OF_PAYLOADS : 1;
  return { flow, weight, tell: (event) => send(encode(event, withPayloads), slotOf(event)) };
}

function encode(event: WatchEvent<OperationNews>, withPayloads: boolean): WatchOperationsResponse {
  if (event.kind === 'snapshot-complete') return { event: { $case: 'snapshotComplete', value: {} } };
  if (event.kind === 'heartbeat') return { event: { $case: 'heartbeat', value: {} } };
  const cache = withPayloads ? encoded.full : encoded.bare;
  const known = cache.get(event.state);
  if (known) return known;
  const message = encodeNews(event.state, withPayloads);
  cache.set(event.state, message);
  return message;
}

function encodeNews(news: OperationNews, withPayloads: boolean): WatchOperationsResponse {
  if (news.kind === 'removed') {
    const { resource, operationId } = news;
    return { event: { $case: 'removed', value: { resource, operationId } } };
  }
  const { operation } = news;
  const value = encodeOperation(withPayloads ? operation : withoutPayloads(operation));
  return { event: { $case: 'operation', value } };
}

function slotOf(event: WatchEvent<OperationNews>): string | undefined {
  if (event.kind === 'snapshot-complete') return undefined;
  return event.kind === 'heartbeat' ? 'heartbeat' : `operation ${event.name}`;
}
