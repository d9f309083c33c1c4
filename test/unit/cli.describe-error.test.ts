// How the command line words the client's errors: the client's sentences, with the options of the command line.
import { expect, test } from 'vitest';
import { messageOf } from '../../src/cli/describe-error.ts';
import { ADVICE } from '../../src/client/advice.ts';
import { type ErrorReason, InvalidArgumentError, LeaseholdError } from '../../src/client/client.ts';

const REASONS = (Object.keys(ADVICE) as ErrorReason[]) // its keys are the reasons: the type says so
  // No command makes calls with a closed client.
  .filter((reason) => reason !== 'CLIENT_CLOSED');

test.for(REASONS)('The advice on %s names no option or method of the client', (reason) => {
  const message = messageOf(new LeaseholdError(`It failed. ${ADVICE[reason]}`, { reason }));
  expect(message).toMatch(/^It failed\. [A-Z].+\.$/);
  expect(message).not.toMatch(/createClient|`|[a-z][A-Z]|\w\(\)/);
});

test('Advice that names no option of the client is printed in the words of the client', () => {
  const error = new LeaseholdError(`The lease on r is lost. ${ADVICE.LEASE_LOST}`, { reason: 'LEASE_LOST' });
  expect(messageOf(error)).toBe(error.message);
});

test('A field that a server refuses is called by the option that fills it', () => {
  const violations = [{ option: 'ttlMs', field: 'spec.ttl', description: 'is longer than 1 h' }];
  const error = new InvalidArgumentError('spec.ttl is wrong', { reason: 'INVALID_ARGUMENT', violations });
  expect(messageOf(error)).toBe(`--ttl: is longer than 1 h. ${ADVICE.INVALID_ARGUMENT}`);
});
