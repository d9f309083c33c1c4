// google.longrunning.Operations as a stock client sees it: the one of google-gax, which knows nothing of ours but the
// address.

import { credentials } from '@grpc/grpc-js';
import { lro, operationsProtos, type OperationsClient as StockClient } from 'google-gax';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OperationsClient } from '../../generated/google/longrunning/operations.ts';
import { Operation, OperationState } from '../../generated/leasehold/v1/operation.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { OperationClient, payload, unaryCall } from '../support/operation-client.ts';
import { type Rig, STORE_KINDS, startRig } from '../support/store-kinds.ts';
import { duration } from '../support/test-instance.ts';

const { longrunning } = operationsProtos.google;

describe.each(STORE_KINDS)('google.longrunning.Operations, %s store', (kind) => {
  let rig: Rig;
  let client: OperationClient;
  let stock: StockClient;
  let generated: OperationsClient;

  beforeAll(async () => {
    rig = await startRig(kind);
    client = new OperationClient(rig.instance.address);
    const { host, port } = rig.instance.address;
    // For our port, without TLS, and without looking for Google's credentials on this machine.
    const auth = { getUniverseDomain: async () => 'googleapis.com' };
    const options = { servicePath: host, port, sslCreds: credentials.createInsecure() };
    stock = lro({ auth } as never).operationsClient(options as never); // typed for Google's endpoints only
    generated = new OperationsClient(formatHostPort(rig.instance.address), credentials.createInsecure());
  });
  afterAll(async () => {
    stock?.close();
    client?.close();
    generated?.close();
    await rig?.stop();
  });

  test('GetOperation shows an operation while it runs and when it has succeeded', async () => {
    const attempt = await client.started({
      resource: 'files/a b',
      operationId: '2026/11',
      data: payload('secret data'),
      labels: new Map([['k', 'v']]),
    });
    const name = 'resources/files%2Fa%20b/operations/2026%2F11';
    const [running] = await stock.getOperation(new longrunning.GetOperationRequest({ name }));
    expect([running.name, running.done, running.response ?? undefined, running.error ?? undefined]).toEqual([
      name,
      false,
      undefined,
      undefined,
    ]);
    const { typeUrl, value } = anyOf(running.metadata);
    expect(typeUrl).toBe('type.googleapis.com/leasehold.v1.Operation');
    expect(Operation.decode(value)).toMatchObject({
      name,
      resource: 'files/a b',
      operationId: '2026/11',
      state: OperationState.OPERATION_STATE_RUNNING,
      data: undefined,
      labels: new Map([['k', 'v']]),
    });
    await client.complete({ ...attempt, outcome: { $case: 'result', value: payload('42') } });
    const [done] = await stock.getOperation(new longrunning.GetOperationRequest({ name }));
    expect([done.done, anyOf(done.response)]).toEqual([true, payload('42')]);
    expect(Operation.decode(anyOf(done.metadata).value).outcome).toBeUndefined();
  });

  test('an operation that was completed without a result has google.protobuf.Empty as its response, in GetOperation, ListOperations and WaitOperation', async () => {
    const empty = { typeUrl: 'type.googleapis.com/google.protobuf.Empty', value: Buffer.alloc(0) };
    const attempt = await client.started({ resource: 'no result', operationId: 'o' });
    const nothing = { typeUrl: '', value: Buffer.alloc(0) };
    await client.complete({ ...attempt, outcome: { $case: 'result', value: nothing } });
    const name = 'resources/no%20result/operations/o';
    const [got] = await stock.getOperation(new longrunning.GetOperationRequest({ name }));
    expect([got.done, anyOf(got.response)]).toEqual([true, empty]);
    const waited = await unaryCall(generated, 'waitOperation', { name, timeout: duration(200) });
    expect(waited).toMatchObject({ done: true, result: { $case: 'response', value: empty } });
    const request = new longrunning.ListOperationsRequest({ name: 'resources/no%20result' });
    for await (const { response } of stock.listOperationsAsync(request))
      expect(anyOf(response)).toEqual(empty);
    // Only here: in leasehold.v1, the empty Any says that there is no result.
    const ours = await client.get({ resource: 'no result', operationId: 'o' });
    expect(ours?.outcome).toMatchObject({ $case: 'result', value: { typeUrl: '' } });
  });

  test('an operation that was cancelled without a reason has an error that says so', async () => {
    await client.begin({ resource: 'r', operationId: 'no reason' });
    const name = 'resources/r/operations/no%20reason';
    await stock.cancelOperation(new longrunning.CancelOperationRequest({ name }));
    const [cancelled] = await stock.getOperation(new longrunning.GetOperationRequest({ name }));
    expect(cancelled.error).toMatchObject({ code: 1, message: 'it was cancelled, and no reason was given' });
    const attempt = await client.started({ resource: 'r', operationId: 'stopped' });
    await client.complete({ ...attempt, outcome: { $case: 'cancelled', value: { message: '' } } });
    const stopped = new longrunning.GetOperationRequest({ name: 'resources/r/operations/stopped' });
    expect((await stock.getOperation(stopped))[0].error).toMatchObject({
      code: 1,
      message: 'its worker stopped it, and gave no reason',
    });
  });

  test('CancelOperation and DeleteOperation end an operation, and a cancelled one has an error', async () => {
    await client.begin({ resource: 'r', operationId: 'cancelled' });
    const name = 'resources/r/operations/cancelled';
    await stock.cancelOperation(new longrunning.CancelOperationRequest({ name }));
    const [operation] = await stock.getOperation(new longrunning.GetOperationRequest({ name }));
    expect([operation.done, operation.error?.code]).toEqual([true, 1]);
    await stock.deleteOperation(new longrunning.DeleteOperationRequest({ name }));
    const calls = [
      stock.getOperation(new longrunning.GetOperationRequest({ name })),
      stock.deleteOperation(new longrunning.DeleteOperationRequest({ name })),
      stock.cancelOperation(new longrunning.CancelOperationRequest({ name })),
    ];
    for (const call of calls)
      await expect(call).rejects.toMatchObject({ code: 5, reason: 'OPERATION_NOT_FOUND' });
  });

  test('CancelOperation of a running operation asks its worker, once however often, and an error says what the state forbids', async () => {
    const attempt = await client.started({ resource: 'r', operationId: 'running' });
    const name = 'resources/r/operations/running';
    for (let times = 0; times < 2; times++) {
      await stock.cancelOperation(new longrunning.CancelOperationRequest({ name }));
      expect(await client.get(attempt)).toMatchObject({ cancelRequested: true, version: 2n });
    }
    const wrongState = { code: 9, reason: 'WRONG_STATE' };
    const remove = () => stock.deleteOperation(new longrunning.DeleteOperationRequest({ name }));
    await expect(remove()).rejects.toMatchObject(wrongState);
    await client.complete(attempt);
    const cancel = stock.cancelOperation(new longrunning.CancelOperationRequest({ name }));
    await expect(cancel).rejects.toMatchObject(wrongState);
    await remove();
  });

  test('the name of an operation finds it again, whatever its resource and id contain', async () => {
    const odd = ['a/b', 'operations', '-', '%2F', 'é \u{1F600}', '?#&=+', 'resources/x/operations/y'];
    for (const [index, resource] of odd.entries()) {
      const operationId = odd.at(-1 - index) ?? '';
      const { operation } = await client.begin({ resource, operationId });
      const name = operation?.name ?? '';
      const [found] = await stock.getOperation(new longrunning.GetOperationRequest({ name }));
      expect(Operation.decode(anyOf(found.metadata).value)).toMatchObject({ resource, operationId });
      expect(found.name).toBe(name);
      const parent = new longrunning.ListOperationsRequest({
        name: name.slice(0, name.lastIndexOf('/operations/')).replace(/-$/, '%2D'),
      });
      expect(await namesOf(stock.listOperationsAsync(parent))).toContain(name);
    }
  });

  test('ListOperations shows results of any size, and a page token counts only for its parent', {
    timeout: 60_000,
  }, async () => {
    const large = payload('x'.repeat(32_000));
    for (let index = 0; index < 140; index++) {
      const attempt = await client.started({ resource: 'large', operationId: `o${index}` });
      await client.complete({ ...attempt, outcome: { $case: 'result', value: large } });
    }
    const request = new longrunning.ListOperationsRequest({ name: 'resources/large', pageSize: 500 });
    expect(new Set(await namesOf(stock.listOperationsAsync(request))).size).toBe(140);
    const list = (fields: object) => {
      const usual = {
        name: 'resources/large',
        filter: '',
        pageSize: 1,
        pageToken: '',
        returnPartialSuccess: false,
      };
      return unaryCall<{ nextPageToken: string }>(generated, 'listOperations', { ...usual, ...fields });
    };
    const { nextPageToken: pageToken } = await list({});
    await list({ pageToken });
    await expect(list({ pageToken, name: '' })).rejects.toMatchObject({
      violations: [{ field: 'page_token' }],
    });
  });

  test('ListOperations lists the operations of one resource or of all, page by page', async () => {
    for (const operationId of ['1', '2', '3']) await client.begin({ resource: 'list/me', operationId });
    const names = ['1', '2', '3'].map((id) => `resources/list%2Fme/operations/${id}`);
    const request = new longrunning.ListOperationsRequest({ name: 'resources/list%2Fme', pageSize: 2 });
    expect(await namesOf(stock.listOperationsAsync(request))).toEqual(names);
    for (const name of ['', 'resources/-']) {
      const all = stock.listOperationsAsync(new longrunning.ListOperationsRequest({ name }));
      expect(await namesOf(all)).toEqual(expect.arrayContaining(names));
    }
  });

  test('WaitOperation, which the stock client does not know, waits until the end of the operation or of its timeout', async () => {
    const attempt = await client.started({ resource: 'r', operationId: 'waited' });
    const name = 'resources/r/operations/waited';
    const early = await unaryCall(generated, 'waitOperation', { name, timeout: duration(200) });
    expect(early).toMatchObject({ name, done: false });
    const woken = unaryCall(generated, 'waitOperation', { name, timeout: { seconds: 999_999n, nanos: 0 } });
    await client.complete({
      ...attempt,
      outcome: { $case: 'error', value: { code: 9, message: 'no', details: [] } },
    });
    expect(await woken).toMatchObject({
      done: true,
      result: { $case: 'error', value: { code: 9, message: 'no' } },
    });
    const missing = unaryCall(generated, 'waitOperation', {
      name: 'resources/r/operations/x',
      timeout: undefined,
    });
    await expect(missing).rejects.toMatchObject({ code: 5, reason: 'OPERATION_NOT_FOUND' });
  });
});

async function namesOf(operations: AsyncIterable<{ name?: string | null }>): Promise<unknown[]> {
  const names: unknown[] = [];
  for await (const { name } of operations) names.push(name);
  return names;
}

function anyOf(any: { type_url?: string | null; value?: unknown } | null | undefined) {
  const { value } = any ?? {};
  if (!(value instanceof Uint8Array)) throw new Error('no bytes');
  return { typeUrl: any?.type_url ?? '', value: Buffer.from(value) };
}
