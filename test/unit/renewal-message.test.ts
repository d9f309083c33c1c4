// The renewals that our own code encodes have the bytes that the generated code writes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HoldResponse, KeepAliveResponse } from '../../generated/leasehold/v1/lock_service.ts';
import { LIMITS } from '../../src/domain/limits.ts';
import { encodeLease } from '../../src/transport/encode-lock.ts';
import { encodeRenewal } from '../../src/transport/renewal-message.ts';

const NOW_MS = 1_795_000_000_000;
const resources = fc
  .string({ unit: 'binary', minLength: 1, maxLength: LIMITS.resourceBytes })
  .filter((text) => text.isWellFormed() && Buffer.byteLength(text) <= LIMITS.resourceBytes);
const renewals = fc.record({
  lease: fc.record({
    resource: resources,
    leaseId: fc.uuid(),
    fencingToken: fc.oneof(fc.bigInt(1n, 2n ** 63n - 1n), fc.bigInt(1n, 2n ** 53n), fc.constant(2n ** 53n)),
    deadlineMs: fc.constant(0),
    expiresAtWallMs: fc.oneof(fc.double({ min: 0, max: 4 * NOW_MS, noNaN: true }), fc.constant(NOW_MS)),
    replicas: fc.nat(100),
  }),
  validForMs: fc.oneof(fc.double({ min: 0, max: 2 ** 41, noNaN: true }), fc.nat(100_000)),
});

test('a renewal has the bytes of the generated encoders', () => {
  fc.assert(
    fc.property(renewals, (granted) => {
      const { resource, leaseId } = granted.lease;
      const event = { $case: 'renewed', value: encodeLease(granted) } as const;
      const byHand = [encodeRenewal('Hold', granted), encodeRenewal('KeepAlive', granted)];
      const generated = [
        HoldResponse.encode({ resource, leaseId, event }).finish(),
        KeepAliveResponse.encode({ resource, leaseId, event }).finish(),
      ];
      expect(byHand.map((bytes) => bytes.toString('hex'))).toEqual(
        generated.map((bytes) => Buffer.from(bytes).toString('hex')),
      );
    }),
    { numRuns: 2_000 },
  );
});
