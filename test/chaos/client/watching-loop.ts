// A client that watches: it reads streams of locks and of operations to their end and opens them again. What they say
// is only counted.

import type { ClientReadableStream, Metadata, ServiceError } from '@grpc/grpc-js';
import { WatchLocksRequest } from '../../../generated/leasehold/v1/lock_service.ts';
import { WatchOperationsRequest } from '../../../generated/leasehold/v1/operation_store_service.ts';
import { CallError } from '../../../src/client/core/call-error.ts';
import type { Stubs } from '../../../src/client/core/connections.ts';
import type { ChaosClient } from './chaos-client.ts';
import type { Dice } from './dice.ts';
import { EXCLUSIVE_RESOURCES } from './hot-resources.ts';
import { reasonOf } from './outcome.ts';

type Open = (stubs: Stubs, metadata: Metadata) => ClientReadableStream<unknown>;

export async function watchLoop(client: ChaosClient, dice: Dice): Promise<void> {
  const locks = WatchLocksRequest.fromPartial({ resources: [...EXCLUSIVE_RESOURCES] });
  const operations = WatchOperationsRequest.fromPartial({});
  await Promise.all([
    watch(client, dice, 'locks', (stubs, metadata) => stubs.locks.watchLocks(locks, metadata)),
    watch(client, dice, 'operations', (stubs, metadata) =>
      stubs.operations.watchOperations(operations, metadata),
    ),
  ]);
}

async function watch(client: ChaosClient, dice: Dice, what: string, open: Open): Promise<void> {
  while (!client.isStopping) {
    const end = await read(client, open, dice.between(3_000, 20_000));
    client.recorder.noted(`watched ${what} until ${end}`);
    if (end !== 'enough') client.channel.leave(client.channel.seat);
    await client.pause(dice.between(100, 1_000));
  }
}

/** How it ended. */
async function read(client: ChaosClient, open: Open, forMs: number): Promise<string> {
  const { channel } = client;
  const place = channel.seat.waiting.take();
  const stream = open(place.stubs, channel.metadata());
  const ended = channel.began(() => stream.cancel());
  let isEnough = false;
  const end = new Promise<string>((resolve) => {
    stream.on('data', () => {});
    stream.on('end', () => resolve('its end'));
    stream.on('error', (error: ServiceError) => resolve(reasonOf(new CallError(error))));
  });
  await Promise.race([
    end,
    client.pause(forMs).then(() => {
      isEnough = true;
    }),
  ]);
  if (isEnough) stream.cancel();
  ended();
  const how = await end;
  place.free();
  return isEnough ? 'enough' : how;
}
