// What callers send wrongly, over the wire and on both kinds of store: each is refused under the name that the field
// has in the contract, and changes nothing. unit/violations.test.ts tests the rules at their bounds, one by one.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import {
  AcquireRequest,
  GetLockRequest,
  LockServiceService,
  ReleaseRequest,
  RenewRequest,
} from '../../generated/leasehold/v1/lock_service.ts';
import { type RawError, rawCall, rawError } from '../support/raw-call.ts';
import { type Rig, STORE_KINDS, startRig } from '../support/store-kinds.ts';
import { duration } from '../support/test-instance.ts';

type Partially<T> = { [K in keyof T]?: T[K] | undefined };

interface Sent {
  readonly path: string;
  readonly bytes: Uint8Array;
}

const ID = '3f2b8c1e-9d47-4a60-8b11-0c5e7a9d2f34';
const KEPT = { resource: 'kept', leaseId: '11111111-2222-4333-8444-555555555555' };

function acquire(spec: Partially<LeaseSpec>, wait?: AcquireRequest['wait']): Sent {
  const full = { ...LeaseSpec.fromPartial({ resource: 'new', leaseId: ID }), ...spec } as LeaseSpec; // none undefined
  return {
    path: LockServiceService.acquire.path,
    bytes: AcquireRequest.encode({ spec: full, wait }).finish(),
  };
}

function renew(request: Partially<RenewRequest>): Sent {
  const full = { ...KEPT, fencingToken: 1n, ttl: undefined, ...request } as RenewRequest; // none undefined but ttl
  return { path: LockServiceService.renew.path, bytes: RenewRequest.encode(full).finish() };
}

function release(request: Partial<ReleaseRequest>): Sent {
  const bytes = ReleaseRequest.encode({ ...KEPT, ...request }).finish();
  return { path: LockServiceService.release.path, bytes };
}

function getLock(resource: string): Sent {
  return { path: LockServiceService.getLock.path, bytes: GetLockRequest.encode({ resource }).finish() };
}

/** The same message with other bytes in the place of a text in it, which no encoder would write. */
function withBytes({ path, bytes }: Sent, placeholder: string, instead: number[]): Sent {
  const at = Buffer.from(bytes).indexOf(placeholder);
  if (at < 0 || placeholder.length !== instead.length) throw new Error('the placeholder does not fit');
  const changed = Buffer.from(bytes);
  changed.set(instead, at);
  return { path, bytes: changed };
}

const DURATIONS: readonly (readonly [string, { seconds: bigint; nanos: number }])[] = [
  ['zero', { seconds: 0n, nanos: 0 }],
  ['negative', { seconds: -5n, nanos: 0 }],
  ['a nanosecond below 1 s', { seconds: 0n, nanos: 999_999_999 }],
  ['a nanosecond over max_ttl', { seconds: 30n, nanos: 1 }],
  ['the largest int64', { seconds: 2n ** 63n - 1n, nanos: 0 }],
  ['the smallest int64', { seconds: -(2n ** 63n), nanos: 0 }],
  ['nanos of a second', { seconds: 5n, nanos: 1_000_000_000 }],
  ['nanos of the opposite sign', { seconds: 5n, nanos: -1 }],
  ['the smallest int32 of nanos', { seconds: 5n, nanos: -2_147_483_648 }],
];

const RESOURCES: readonly (readonly [string, string])[] = [
  ['empty', ''],
  ['513 bytes', 'x'.repeat(513)],
  ['513 bytes, the last character across the bound', `${'x'.repeat(511)}é`],
  ['a control character', 'a\u0007b'],
  ['a NUL', 'a\0'],
];

// Bytes in the place of "XXXX" that are not UTF-8: a lone continuation, an overlong slash, a surrogate, a cut-off
// start.
const NOT_UTF8: readonly (readonly [string, number[]])[] = [
  ['a lone continuation byte', [0x61, 0x80, 0x62, 0x63]],
  ['bytes that UTF-8 never has', [0x61, 0xff, 0xfe, 0x62]],
  ['an overlong form', [0xc0, 0xaf, 0x61, 0x62]],
  ['a surrogate', [0xed, 0xa0, 0x80, 0x61]],
  ['a character cut off', [0x61, 0x62, 0xe2, 0x82]],
];

const LEASE_IDS: readonly (readonly [string, string])[] = [
  ['missing', ''],
  ['no UUID', 'my-lock'],
  ['without dashes', ID.replaceAll('-', '')],
  ['nil', '00000000-0000-0000-0000-000000000000'],
  ['with a line feed', `${ID}\n`],
];

const PERMITS: readonly (readonly [name: string, field: string, permits: number, limit: number])[] = [
  ['no permits', 'permits', 0, 3],
  ['negative permits', 'permits', -1, 3],
  ['more permits than there are', 'permits', 4, 3],
  ['a limit of nothing', 'limit', 1, 0],
  ['a negative limit', 'limit', 1, -1],
  ['permits and limit negative', 'limit', -2_147_483_648, -1],
  ['a limit over 1,000,000', 'limit', 1, 1_000_001],
  ['the largest int32 of permits', 'limit', 2_147_483_647, 2_147_483_647],
];

const MANY = new Map(Array.from({ length: 17 }, (_, index) => [`k${index}`, 'v']));
const LARGE = new Map(Array.from({ length: 16 }, (_, index) => [`k${index}`, 'v'.repeat(200)]));

const REFUSED: readonly (readonly [name: string, field: string, sent: Sent])[] = [
  ...RESOURCES.flatMap(([name, resource]): [string, string, Sent][] => [
    [`Acquire, resource ${name}`, 'spec.resource', acquire({ resource })],
    [`Renew, resource ${name}`, 'resource', renew({ resource })],
    [`Release, resource ${name}`, 'resource', release({ resource })],
    [`GetLock, resource ${name}`, 'resource', getLock(resource)],
  ]),
  ...NOT_UTF8.flatMap(([name, bytes]): [string, string, Sent][] => [
    [
      `Acquire, resource with ${name}`,
      'spec.resource',
      withBytes(acquire({ resource: 'XXXX' }), 'XXXX', bytes),
    ],
    [`Renew, resource with ${name}`, 'resource', withBytes(renew({ resource: 'XXXX' }), 'XXXX', bytes)],
    [`Release, resource with ${name}`, 'resource', withBytes(release({ resource: 'XXXX' }), 'XXXX', bytes)],
    [`GetLock, resource with ${name}`, 'resource', withBytes(getLock('XXXX'), 'XXXX', bytes)],
  ]),
  ['Acquire, owner that is no UTF-8', 'spec.owner', withBytes(acquire({ owner: 'XX' }), 'XX', [0xff, 0xff])],
  [
    'Acquire, metadata value that is no UTF-8',
    'spec.metadata.k',
    withBytes(acquire({ metadata: new Map([['k', 'XX']]) }), 'XX', [0xff, 0xff]),
  ],
  [
    'Acquire, metadata key that is no UTF-8',
    'spec.metadata',
    withBytes(acquire({ metadata: new Map([['XX', 'v']]) }), 'XX', [0xff, 0xff]),
  ],
  ['Acquire, no spec', 'spec', { path: LockServiceService.acquire.path, bytes: new Uint8Array() }],
  ...LEASE_IDS.flatMap(([name, leaseId]): [string, string, Sent][] => [
    [`Acquire, lease_id ${name}`, 'spec.lease_id', acquire({ leaseId })],
    [`Renew, lease_id ${name}`, 'lease_id', renew({ leaseId })],
    [`Release, lease_id ${name}`, 'lease_id', release({ leaseId })],
  ]),
  ...DURATIONS.flatMap(([name, ttl]): [string, string, Sent][] => [
    [`Acquire, ttl ${name}`, 'spec.ttl', acquire({ ttl })],
    [`Renew, ttl ${name}`, 'ttl', renew({ ttl })],
  ]),
  ['Acquire, min_hold negative', 'spec.min_hold', acquire({ minHold: { seconds: -1n, nanos: 0 } })],
  ['Acquire, min_hold over 24 h', 'spec.min_hold', acquire({ minHold: { seconds: 86_400n, nanos: 1 } })],
  ['Acquire, min_hold of mixed signs', 'spec.min_hold', acquire({ minHold: { seconds: 1n, nanos: -1 } })],
  ['Acquire, max_hold zero', 'spec.max_hold', acquire({ maxHold: duration(0) })],
  [
    'Acquire, max_hold over 30 days',
    'spec.max_hold',
    acquire({ maxHold: { seconds: 2_592_001n, nanos: 0 } }),
  ],
  ['Acquire, owner of 257 bytes', 'spec.owner', acquire({ owner: `${'o'.repeat(255)}é` })],
  ['Acquire, owner with a control character', 'spec.owner', acquire({ owner: 'a\nb' })],
  ['Acquire, 17 entries of metadata', 'spec.metadata', acquire({ metadata: MANY })],
  ['Acquire, metadata of more than 2 KiB', 'spec.metadata', acquire({ metadata: LARGE })],
  ['Acquire, an empty metadata key', 'spec.metadata', acquire({ metadata: new Map([['', 'v']]) })],
  ['Acquire, a metadata key in capitals', 'spec.metadata', acquire({ metadata: new Map([['Key', 'v']]) })],
  [
    'Acquire, a metadata key of 65 characters',
    'spec.metadata',
    acquire({ metadata: new Map([['k'.repeat(65), 'v']]) }),
  ],
  [
    'Acquire, a metadata value of 257 bytes',
    'spec.metadata.k',
    acquire({ metadata: new Map([['k', 'v'.repeat(257)]]) }),
  ],
  ...PERMITS.map(([name, field, permits, limit]): [string, string, Sent] => [
    `Acquire, ${name}`,
    `spec.permits.${field}`,
    acquire({ mode: { $case: 'permits', value: { permits, limit } } }),
  ]),
  [
    'Acquire, more acknowledgements than there can be',
    'spec.durability.replicated.min_acks',
    acquire({ durability: { level: { $case: 'replicated', value: { minAcks: 17 } } } }),
  ],
  [
    'Acquire, a wait of more than 30 min',
    'wait_timeout',
    acquire({}, { $case: 'waitTimeout', value: { seconds: 1_800n, nanos: 1 } }),
  ],
  [
    'Acquire, the longest Duration as a wait',
    'wait_timeout',
    acquire({}, { $case: 'waitTimeout', value: { seconds: 315_576_000_000n, nanos: 999_999_999 } }),
  ],
  [
    'Acquire, a wait of mixed signs',
    'wait_timeout',
    acquire({}, { $case: 'waitTimeout', value: { seconds: 1n, nanos: -1 } }),
  ],
  [
    'Acquire, a negative wait',
    'wait_timeout',
    acquire({}, { $case: 'waitTimeout', value: { seconds: -1n, nanos: 0 } }),
  ],
  [
    'Acquire, a wait for ever that is false',
    'wait_forever',
    acquire({}, { $case: 'waitForever', value: false }),
  ],
  ['Renew, no token', 'fencing_token', renew({ fencingToken: 0n })],
  ['Renew, a negative token', 'fencing_token', renew({ fencingToken: -1n })],
  ['Renew, the smallest int64 as token', 'fencing_token', renew({ fencingToken: -(2n ** 63n) })],
];

// Not messages of their type: a length beyond the end, a varint without end, an unknown kind of field, field number 0.
const GARBAGE: readonly (readonly [string, number[]])[] = [
  ['a length beyond the end', [0x0a, 0x7f, 0x61]],
  ['a number without end', [0x18, ...Array<number>(11).fill(0xff)]],
  ['an unknown kind of field', [0x0f, 0x01]],
  ['text', [...Buffer.from('{"resource":"new"}')]],
];

describe.each(STORE_KINDS)('bad input, %s store', (kind) => {
  let rig: Rig;
  let fencingToken: bigint;
  let keptAtMs: number;

  beforeAll(async () => {
    rig = await startRig(kind);
    await keep();
  });

  // However slow the machine is, no test finds that the lease has lapsed.
  beforeEach(async () => {
    if (performance.now() - keptAtMs < 10_000) return;
    await rig.client.release(KEPT);
    await keep();
  });

  async function keep(): Promise<void> {
    const { lease } = await rig.client.acquire({ ...KEPT, ttl: duration(30_000), maxHold: duration(60_000) });
    fencingToken = lease?.fencingToken ?? 0n;
    keptAtMs = performance.now();
  }

  afterAll(() => rig.stop());

  async function observed(): Promise<unknown> {
    const { lock: kept } = await rig.client.getLock(KEPT.resource);
    const { lock: fresh } = await rig.client.getLock('new');
    return { stored: await rig.stored(), state: fresh?.state, token: kept?.holders[0]?.fencingToken };
  }

  async function refusedWithoutEffect({ path, bytes }: Sent): Promise<RawError> {
    const before = await observed();
    const error = await rawError(rig.client.stub, path, bytes);
    expect(await observed()).toEqual(before);
    expect(before).toMatchObject({ token: fencingToken });
    return error;
  }

  test.each(REFUSED)('bad input is INVALID_ARGUMENT: %s, under the field %s', async (_name, field, sent) => {
    const error = await refusedWithoutEffect(sent);
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.details['google.rpc.ErrorInfo']).toMatchObject({
      reason: 'INVALID_ARGUMENT',
      domain: 'leasehold',
    });
    expect(error.details['google.rpc.BadRequest']?.fieldViolations).toEqual([
      { field, description: expect.stringMatching(/^\S.+/), reason: '', localizedMessage: undefined },
    ]);
    expect(error.message.startsWith(`${field}: `)).toBe(true);
    expect(error.details['google.rpc.RetryInfo']).toBeUndefined();
  });

  test.each(GARBAGE)('bytes that are not a message are INVALID_ARGUMENT: %s', async (_name, bytes) => {
    for (const { path } of [
      LockServiceService.acquire,
      LockServiceService.renew,
      LockServiceService.getLock,
    ]) {
      const error = await refusedWithoutEffect({ path, bytes: Uint8Array.from(bytes) });
      expect(error.code).toBe('INVALID_ARGUMENT');
      expect(error.details['google.rpc.ErrorInfo']?.reason).toBe('INVALID_ARGUMENT');
      expect(error.details['google.rpc.BadRequest']?.fieldViolations).toHaveLength(1);
      expect(error.everything).not.toMatch(/premature|varint|wire type|\.ts:/i);
    }
  });

  test('bytes that are not a message, within a message, are INVALID_ARGUMENT', async () => {
    const { path } = LockServiceService.acquire;
    const bytes = Uint8Array.from([0x0a, 0x04, 0x0a, 0x7f, 0x61, 0x62]); // a name of 127 bytes in a spec of 4
    const error = await refusedWithoutEffect({ path, bytes });
    expect(error.details['google.rpc.BadRequest']?.fieldViolations[0]?.field).toBe('request');
  });

  test('replicated durability without replicas is refused with the name of the field', async () => {
    if (kind === 'redis') return; // there it may be unmet, but it is not bad input: durability.replicated.test.ts
    const { path, bytes } = acquire({
      durability: { level: { $case: 'replicated', value: { minAcks: 0 } } },
    });
    const error = await rawCall(rig.client.stub, path, bytes);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(JSON.stringify(error)).toContain('spec.durability');
  });

  test('the largest and the smallest permits, and the longest waits, are accepted', async () => {
    const { path } = LockServiceService.acquire;
    for (const permits of [1, 1_000_000]) {
      const spec = { resource: `permits-${permits}`, leaseId: randomUUID() };
      const mode = { $case: 'permits' as const, value: { permits, limit: 1_000_000 } };
      for (const wait of [
        undefined,
        { $case: 'waitTimeout' as const, value: duration(1_800_000) },
        { $case: 'waitForever' as const, value: true },
      ]) {
        const { bytes } = acquire({ ...spec, mode }, wait);
        expect(Buffer.isBuffer(await rawCall(rig.client.stub, path, bytes))).toBe(true);
      }
      await rig.client.release(spec);
    }
  });

  test('a wait timeout of zero means no wait', async () => {
    const { path, bytes } = acquire(KEPT, { $case: 'waitTimeout', value: duration(0) });
    expect(Buffer.isBuffer(await rawCall(rig.client.stub, path, bytes))).toBe(true);
  });

  test('an error names every violation at once', async () => {
    const sent = acquire({ resource: '', leaseId: 'x', owner: '\0', ttl: duration(1), metadata: MANY });
    const error = await refusedWithoutEffect(sent);
    expect(error.details['google.rpc.BadRequest']?.fieldViolations.map(({ field }) => field)).toEqual([
      'spec.resource',
      'spec.lease_id',
      'spec.owner',
      'spec.metadata',
      'spec.ttl',
    ]);
  });

  test('many violations still fit into one trailer', async () => {
    const metadata = new Map(Array.from({ length: 16 }, (_, index) => [`${index}`.padStart(64, 'k'), '\0']));
    const error = await refusedWithoutEffect(acquire({ resource: '', leaseId: 'x', owner: '\0', metadata }));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.details['google.rpc.BadRequest']?.fieldViolations).toHaveLength(16);
    expect(error.trailerBytes).toBeLessThan(7_000); // many peers take 8 KiB of trailers in all
  });

  test('a message that is too long is RESOURCE_EXHAUSTED, and the connection goes on', async () => {
    const error = await refusedWithoutEffect(acquire({ owner: 'o'.repeat(131_072) }));
    expect(error.code).toBe('RESOURCE_EXHAUSTED');
    // The handler judges the longest message that is let in.
    const { length } = acquire({ owner: '' }).bytes;
    const longest = acquire({ owner: 'o'.repeat(131_072 - length - 8) });
    expect((await refusedWithoutEffect(longest)).code).toBe('INVALID_ARGUMENT');
  });

  test('fields from the future are ignored', async () => {
    const { path, bytes } = acquire({ ...KEPT });
    const unknown = Buffer.from([0xba, 0x3e, 0x03, 0x61, 0x62, 0x63]); // field 999, three bytes
    expect(Buffer.isBuffer(await rawCall(rig.client.stub, path, Buffer.concat([bytes, unknown])))).toBe(true);
  });

  test('a lease_id that is used for another resource is another lease', async () => {
    const resource = `other-${randomUUID()}`;
    const { lease } = await rig.client.acquire({ resource, leaseId: KEPT.leaseId });
    expect(lease?.fencingToken).toBeGreaterThan(fencingToken);
    await rig.client.release({ resource, leaseId: KEPT.leaseId });
  });
});
