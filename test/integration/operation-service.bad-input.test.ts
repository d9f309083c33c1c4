// What callers of the operation store send wrongly, over the wire and on both kinds of store: each is refused under the
// name that the field has in the contract, and changes nothing.

import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OperationsClient } from '../../generated/google/longrunning/operations.ts';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import type { CallError } from '../../src/client/core/call-error.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { type HeldAttempt, OperationClient, payload, unaryCall } from '../support/operation-client.ts';
import { type Rig, STORE_KINDS, startRig } from '../support/store-kinds.ts';
import { duration } from '../support/test-instance.ts';

const ID = '3f2b8c1e-9d47-4a60-8b11-0c5e7a9d2f34';
const NIL = '00000000-0000-0000-0000-000000000000';
const WRONG_IDS = ['', 'my-claim', NIL, `${ID}\n`];
const large = payload('x'.repeat(32_768));
const YEAR_S = 365n * 86_400n;
const LONG = { seconds: YEAR_S, nanos: 1_000_000 };
const MANY = new Map(Array.from({ length: 17 }, (_, index) => [`k${index}`, 'v']));

type Call = (client: OperationClient, attempt: HeldAttempt) => Promise<unknown>;
type Begin = Parameters<OperationClient['begin']>[0];

const begin =
  (fields: Begin): Call =>
  (client) =>
    client.begin({ resource: 'new', operationId: 'new', ...fields });
const update =
  (fields: Parameters<OperationClient['update']>[0]): Call =>
  (client, attempt) =>
    client.update({ ...attempt, ...fields });
const complete =
  (fields: Parameters<OperationClient['complete']>[0]): Call =>
  (client, attempt) =>
    client.complete({ ...attempt, ...fields });
const claim =
  (fields: Parameters<OperationClient['claim']>[0]): Call =>
  (client) =>
    client.claim(fields);
const list =
  (filter: NonNullable<Parameters<OperationClient['list']>[0]>['filter']): Call =>
  (client) =>
    client.list({ filter });
const lock = (fields: Parameters<typeof LeaseSpec.fromPartial>[0]): Begin => ({
  lock: LeaseSpec.fromPartial(fields),
});

const required = { resource: 'r', leaseId: ID, fencingToken: 1n };

const REFUSED: readonly (readonly [name: string, field: string, call: Call])[] = [
  ['Begin, no resource', 'resource', begin({ resource: '' })],
  ['Begin, resource of 513 bytes', 'resource', begin({ resource: 'x'.repeat(513) })],
  ['Begin, resource with a tab', 'resource', begin({ resource: 'a\tb' })],
  ['Begin, no operation_id', 'operation_id', begin({ operationId: '' })],
  ['Begin, operation_id of 129 bytes', 'operation_id', begin({ operationId: `${'x'.repeat(127)}é` })],
  ['Begin, operation_id with a tab', 'operation_id', begin({ operationId: 'a\tb' })],
  ['Begin, no type', 'type', begin({ type: '' })],
  ['Begin, type with a space', 'type', begin({ type: 'my type' })],
  ['Begin, type of 129 characters', 'type', begin({ type: 't'.repeat(129) })],
  ['Begin, data over 32 KiB', 'data', begin({ data: large })],
  ['Begin, 17 labels', 'labels', begin({ labels: MANY })],
  ['Begin, a label with a wrong key', 'labels', begin({ labels: new Map([['A', 'v']]) })],
  ['Begin, a label of 257 bytes', 'labels.k', begin({ labels: new Map([['k', 'v'.repeat(257)]]) })],
  ...WRONG_IDS.slice(1).map((claimId): [string, string, Call] => [
    `Begin, claim_id ${JSON.stringify(claimId)}`,
    'claim_id',
    begin({ claimId }),
  ]),
  ['Begin, owner of 257 bytes', 'owner', begin({ owner: 'o'.repeat(257) })],
  ['Begin, heartbeat_timeout below 1 s', 'heartbeat_timeout', begin({ heartbeatTimeout: duration(999) })],
  [
    'Begin, heartbeat_timeout over max_ttl',
    'heartbeat_timeout',
    begin({ heartbeatTimeout: { seconds: 30n, nanos: 1 } }),
  ],
  ['Begin, time_to_live of nothing', 'time_to_live', begin({ timeToLive: duration(0) })],
  ['Begin, time_to_live over 365 days', 'time_to_live', begin({ timeToLive: LONG })],
  ['Begin, lock of another resource', 'lock.resource', begin(lock({ resource: 'other' }))],
  [
    'Begin, lock with another lease_id',
    'lock.lease_id',
    begin({ ...lock({ leaseId: ID }), claimId: randomUUID() }),
  ],
  ['Begin, lock with a lease_id and no claim_id', 'lock.lease_id', begin(lock({ leaseId: ID }))],
  ['Begin, lock with a ttl over max_ttl', 'lock.ttl', begin(lock({ ttl: duration(31_000) }))],
  [
    'Begin, lock with no permits',
    'lock.permits.permits',
    begin(lock({ mode: { $case: 'permits', value: { permits: 0, limit: 3 } } })),
  ],
  ['Begin, lock and require_lease', 'require_lease', begin({ ...lock({}), requireLease: required })],
  [
    'Begin, require_lease without a token',
    'require_lease.fencing_token',
    begin({ requireLease: { ...required, fencingToken: 0n } }),
  ],
  ['Begin, max_attempts over 1,000', 'max_attempts', begin({ maxAttempts: 1_001 })],
  ['Begin, max_attempts negative', 'max_attempts', begin({ maxAttempts: -1 })],
  ['Begin, request_id that is no UUID', 'request_id', begin({ requestId: 'again' })],
  ['Begin, retention over 365 days', 'retention.failed', begin({ retention: { failed: LONG } })],
  ['Begin, retention negative', 'retention.dead', begin({ retention: { dead: { seconds: -1n, nanos: 0 } } })],
  ['Get, no operation_id', 'operation_id', (client) => client.get({ resource: 'r', operationId: '' })],
  ['Claim, no types', 'types', claim({ types: [] })],
  ['Claim, 17 types', 'types', claim({ types: Array.from({ length: 17 }, (_, i) => `t${i}`) })],
  ['Claim, a wrong type', 'types[1]', claim({ types: ['a', 'b c'] })],
  ...WRONG_IDS.map((claimId): [string, string, Call] => [
    `Claim, claim_id ${JSON.stringify(claimId)}`,
    'claim_id',
    claim({ claimId }),
  ]),
  ['Claim, resource_prefix of 513 bytes', 'resource_prefix', claim({ resourcePrefix: 'x'.repeat(513) })],
  ['Claim, 33 operations', 'max_operations', claim({ maxOperations: 33 })],
  ['Claim, fewer than no operations', 'max_operations', claim({ maxOperations: -1 })],
  [
    'Claim, a wait of more than 30 min',
    'wait_timeout',
    claim({ waitTimeout: { seconds: 1_800n, nanos: 1 } }),
  ],
  ['Update, no token', 'fencing_token', update({ fencingToken: 0n })],
  ['Update, no claim_id', 'claim_id', update({ claimId: '' })],
  ['Update, version 0', 'version', update({ version: 0n })],
  ['Update, version negative', 'version', update({ version: -1n })],
  ['Update, data over 32 KiB', 'data', update({ data: large })],
  ['Update, progress over 32 KiB', 'progress', update({ progress: large })],
  ['Update, 17 labels', 'set_labels', update({ setLabels: MANY })],
  [
    'Update, a label set and removed',
    'remove_labels[0]',
    update({ setLabels: new Map([['k', 'v']]), removeLabels: ['k'] }),
  ],
  [
    'Update, 65 labels removed',
    'remove_labels',
    update({ removeLabels: Array.from({ length: 65 }, (_, i) => `k${i}`) }),
  ],
  ['Update, a wrong key removed', 'remove_labels[1]', update({ removeLabels: ['k', ''] })],
  [
    'Complete, no outcome',
    'outcome',
    (client, attempt) => client.complete({ ...attempt, outcome: undefined }),
  ],
  ['Complete, result over 32 KiB', 'result', complete({ outcome: { $case: 'result', value: large } })],
  [
    'Complete, an error that is OK',
    'error.code',
    complete({ outcome: { $case: 'error', value: { code: 0, message: '', details: [] } } }),
  ],
  [
    'Complete, error over 32 KiB',
    'error',
    complete({ outcome: { $case: 'error', value: { code: 2, message: '', details: [large] } } }),
  ],
  [
    'Complete, cancelled with a message over 1 KiB',
    'cancelled.message',
    complete({ outcome: { $case: 'cancelled', value: { message: 'm'.repeat(1_025) } } }),
  ],
  ['Yield, delay over 365 days', 'delay', (client, attempt) => client.yield({ ...attempt, delay: LONG })],
  [
    'Cancel, reason of 257 bytes',
    'reason',
    (client, { resource, operationId }) => client.cancel({ resource, operationId, reason: 'r'.repeat(257) }),
  ],
  ['Retry, version 0', 'version', (client) => client.retry({ resource: 'r', operationId: 'o', version: 0n })],
  [
    'Delete, request_id',
    'request_id',
    (client) => client.delete({ resource: 'r', operationId: 'o', requestId: 'x' }),
  ],
  [
    'Wait, more than 30 min',
    'wait_timeout',
    (client) => client.wait({ resource: 'r', operationId: 'o', waitTimeout: duration(1_800_001) }),
  ],
  ['List, an unspecified state', 'filter.states[0]', list({ states: [0] })],
  ['List, an unknown state', 'filter.states[1]', list({ states: [1, 99 as never] })], // as a newer client may send
  ['List, 17 types', 'filter.types', list({ types: Array.from({ length: 17 }, (_, i) => `t${i}`) })],
  ['List, 17 labels', 'filter.labels', list({ labels: MANY })],
  ['List, a wrong time', 'filter.created_from', list({ createdFrom: { seconds: 0n, nanos: -1 } })],
  [
    'List, a time after the year 9999',
    'filter.updated_before',
    list({ updatedBefore: { seconds: 253_402_300_800n, nanos: 0 } }),
  ],
  ['List, a negative page', 'page_size', (client) => client.list({ pageSize: -1 })],
  ['List, a page token of nobody', 'page_token', (client) => client.list({ pageToken: 'AAAA' })],
];

const NAMES = [
  '',
  'r/o',
  'operations/r/o',
  'resources/r',
  'resources/r/operations/',
  'resources//operations/o',
];
const BROKEN = ['resources/%/operations/o', 'resources/r/operations/%ff', 'resources/a%09b/operations/o'];

describe.each(STORE_KINDS)('bad input for operations, %s store', (kind) => {
  let rig: Rig;
  let client: OperationClient;
  let standard: OperationsClient;
  let attempt: HeldAttempt;

  beforeAll(async () => {
    rig = await startRig(kind);
    client = new OperationClient(rig.instance.address);
    standard = new OperationsClient(formatHostPort(rig.instance.address), credentials.createInsecure());
    attempt = await client.started({ resource: 'kept', operationId: 'kept', labels: new Map([['k', 'v']]) });
  });
  afterAll(async () => {
    client?.close();
    standard?.close();
    await rig?.stop();
  });

  /** All records, without what time alone changes. */
  async function recorded(): Promise<unknown> {
    const { operations } = await client.list({ withPayloads: true });
    return operations.map((operation) => ({ ...operation, heartbeatRemaining: undefined }));
  }

  test.each(REFUSED)('a request is refused with the name of the field: %s', async (_, field, call) => {
    const before = await recorded();
    const refusal = call(client, attempt);
    await expect(refusal).rejects.toMatchObject({
      code: 3,
      reason: 'INVALID_ARGUMENT',
      violations: [{ field }],
    });
    expect(await recorded()).toEqual(before);
  });

  test.each([...NAMES, ...BROKEN])('google.longrunning refuses the name %j', async (name) => {
    const violations = [{ field: 'name' }];
    for (const method of ['getOperation', 'cancelOperation', 'deleteOperation', 'waitOperation']) {
      const refusal = unaryCall(standard, method, { name, timeout: undefined });
      await expect(refusal).rejects.toMatchObject({ code: 3, violations });
    }
  });

  test.each([
    ['name', { name: 'operations' }],
    ['name', { name: 'resources/a/b' }],
    ['filter', { filter: 'done=true' }],
    ['page_size', { pageSize: -1 }],
    ['page_token', { pageToken: 'x' }],
  ])('google.longrunning refuses a ListOperations with a wrong %s', async (field, fields) => {
    const request = {
      name: '',
      filter: '',
      pageSize: 0,
      pageToken: '',
      returnPartialSuccess: false,
      ...fields,
    };
    const refusal = unaryCall(standard, 'listOperations', request);
    await expect(refusal).rejects.toMatchObject({ code: 3, violations: [{ field }] });
  });

  test('an error names several mistakes at once', async () => {
    const error = await client.begin({ resource: '', operationId: '', type: '', maxAttempts: -1 }).then(
      () => undefined,
      (caught: CallError) => caught,
    );
    const fields = error?.violations.map(({ field }) => field).sort();
    expect(fields).toEqual(['max_attempts', 'operation_id', 'resource', 'type']);
  });

  test('an operation as large as is allowed is accepted', async () => {
    // 14 bytes of type URL, with their tags and lengths: 20 bytes of envelope.
    const most = payload('x'.repeat(32_768 - 2 - 16 - 4));
    const { operation } = await client.begin({
      resource: 'x'.repeat(512),
      operationId: 'x'.repeat(128),
      type: 't'.repeat(128),
      data: most,
    });
    expect(operation?.data).toEqual(most);
    const running = await client.started({ resource: 'large', operationId: 'large' });
    const { operation: updated } = await client.update({ ...running, data: most, progress: most });
    expect([updated?.data, updated?.progress]).toEqual([most, most]);
  });
});
