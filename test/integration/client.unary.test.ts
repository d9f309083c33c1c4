// Unary calls of the client core: both services over the connections of one channel, repeated with the same ids until
// an instance answers.

import { randomUUID } from 'node:crypto';
import { credentials, status } from '@grpc/grpc-js';
import { expect, onTestFinished, test } from 'vitest';
import {
  BeginOperationRequest,
  type BeginOperationResponse,
} from '../../generated/leasehold/v1/operation_store_service.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { Channel } from '../../src/client/core/channel.ts';
import { callUnary } from '../../src/client/core/unary-call.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { freePort } from '../support/ports.ts';
import { startInstance } from '../support/test-instance.ts';

function channelTo(...addresses: string[]): Channel {
  const channel = new Channel({
    addresses,
    credentials: credentials.createInsecure(),
    clock: systemClock,
    random: () => 0, // begins with the first
  });
  onTestFinished(() => channel.close());
  return channel;
}

function begin(channel: Channel, operationId: string) {
  const request = BeginOperationRequest.fromPartial({ resource: 'unary', operationId, type: 'test' });
  return callUnary<BeginOperationResponse>(
    channel,
    ({ operations }, metadata, options, callback) =>
      operations.beginOperation(request, metadata, options, callback),
    { deadlineMs: systemClock.monotonicMs() + 10_000 },
  );
}

test('Begin goes to the instance that answers, and a repeat finds the operation', async () => {
  const instance = await startInstance();
  onTestFinished(() => instance.stop());
  const nobody = `127.0.0.1:${await freePort()}`;
  const channel = channelTo(nobody, formatHostPort(instance.address));
  const operationId = randomUUID();
  expect((await begin(channel, operationId)).response).toMatchObject({
    created: true,
    operation: { operationId },
  });
  expect((await begin(channel, operationId)).response.created).toBe(false);
});

test('A closed channel refuses calls to operations', async () => {
  const channel = channelTo('127.0.0.1:1');
  channel.close();
  const error: unknown = await begin(channel, 'closed').catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CallError);
  expect(error).toMatchObject({ code: status.CANCELLED });
});
