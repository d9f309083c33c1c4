// The rules for what callers send, one by one and at their bounds. test/integration/lock-service.bad-input.test.ts
// shows over the wire that the rpcs apply them.
import { describe, expect, test } from 'vitest';
import { CoordinationError } from '../../src/domain/errors.ts';
import { Violations } from '../../src/transport/violations.ts';

const UUID = '3f2b8c1e-9d47-4a60-8b11-0c5e7a9d2f34';

/** The violations that one check notes. */
function noted(
  check: (violations: Violations) => unknown,
): readonly { field: string; description: string }[] {
  const violations = new Violations();
  check(violations);
  try {
    violations.refuse();
    return [];
  } catch (error) {
    if (!(error instanceof CoordinationError)) throw error;
    expect(error.code).toBe('INVALID_ARGUMENT');
    return error.details.violations ?? [];
  }
}

test('several violations are reported at once, each under its field', () => {
  const found = noted((violations) => {
    violations.resource('spec.resource', '');
    violations.uuid('spec.lease_id', 'x');
    violations.fencingToken('fencing_token', 0n);
  });
  expect(found.map(({ field }) => field)).toEqual(['spec.resource', 'spec.lease_id', 'fencing_token']);
});

test('a valid request throws nothing', () => {
  const violations = new Violations();
  expect(violations.resource('r', 'invoice:42')).toBe('invoice:42');
  expect(() => violations.refuse()).not.toThrow();
});

describe('resource', () => {
  test.each([
    ['one byte', 'x'],
    ['512 bytes', 'x'.repeat(512)],
    ['512 bytes of two-byte characters', 'é'.repeat(256)],
    ['512 bytes of four-byte characters', '🔒'.repeat(128)],
    ['braces and colons', '{0}:}{:'],
    ['spaces', ' a b '],
    ['a byte order mark', '\ufeffa'],
    ['a line separator, which is no control character', 'a\u2028b'],
  ])('a resource is accepted: %s', (_name, value) => {
    expect(noted((violations) => violations.resource('r', value))).toEqual([]);
  });

  test.each([
    ['empty', '', 'has 0'],
    ['513 bytes', 'x'.repeat(513), 'has 513'],
    ['513 bytes, the last character across the bound', `${'x'.repeat(511)}é`, 'has 513'],
    ['NUL', 'a\0b', 'control'],
    ['a line feed', 'a\n', 'control'],
    ['DEL', 'a\x7f', 'control'],
    ['a control character beyond ASCII', 'a\x85', 'control'],
    ['what a decoder makes of bytes that are no UTF-8', 'a\ufffd', 'UTF-8'],
  ])('a resource is refused: %s', (_name, value, description) => {
    expect(noted((violations) => violations.resource('r', value))).toEqual([
      { field: 'r', description: expect.stringContaining(description) },
    ]);
  });
});

describe('uuid', () => {
  test('an upper-case id is the same id, and its lower-case form counts', () => {
    expect(new Violations().uuid('id', UUID.toUpperCase())).toBe(UUID);
  });

  test.each([
    ['empty', '', 'required'],
    ['without dashes', UUID.replaceAll('-', ''), '8-4-4-4-12'],
    ['in braces', `{${UUID}}`, '8-4-4-4-12'],
    ['a line feed after it', `${UUID}\n`, '8-4-4-4-12'],
    ['too long', `${UUID}0`, '8-4-4-4-12'],
    ['not hexadecimal', UUID.replace('3', 'g'), '8-4-4-4-12'],
    ['nil', '00000000-0000-0000-0000-000000000000', 'nil'],
  ])('an id is refused: %s', (_name, value, description) => {
    expect(noted((violations) => violations.uuid('id', value))).toEqual([
      { field: 'id', description: expect.stringContaining(description) },
    ]);
  });
});

describe('owner', () => {
  test.each([
    ['empty', ''],
    ['256 bytes', 'o'.repeat(256)],
  ])('an owner is accepted: %s', (_name, value) => {
    expect(noted((violations) => violations.owner('o', value))).toEqual([]);
  });

  test.each([
    ['257 bytes', 'o'.repeat(257), 'has 257'],
    ['multi-byte across the bound', `${'o'.repeat(255)}é`, 'has 257'],
    ['control characters', 'a\tb', 'control'],
  ])('an owner is refused: %s', (_name, value, description) => {
    expect(noted((violations) => violations.owner('o', value))).toEqual([
      { field: 'o', description: expect.stringContaining(description) },
    ]);
  });
});

describe('metadata', () => {
  const entries = (count: number, value: string): Map<string, string> =>
    new Map(Array.from({ length: count }, (_, index) => [`k${String(index).padStart(2, '0')}`, value]));

  test.each([
    ['none', new Map()],
    ['16 entries', entries(16, 'v')],
    ['a key of 64 characters', new Map([['k'.repeat(64), '']])],
    ['a value of 256 bytes', new Map([['k', 'v'.repeat(256)]])],
    ['2,048 bytes in all', entries(8, 'v'.repeat(253))],
    [
      'names of an object',
      new Map([
        ['__proto__', 'a'],
        ['constructor', 'b'],
      ]),
    ],
  ])('metadata is accepted: %s', (_name, value) => {
    expect(noted((violations) => violations.metadata('m', value))).toEqual([]);
  });

  test.each([
    ['17 entries', entries(17, 'v'), 'm', 'has 17'],
    ['an empty key', new Map([['', 'v']]), 'm', 'keys'],
    ['a key of 65 characters', new Map([['k'.repeat(65), 'v']]), 'm', 'keys'],
    ['a key in capitals', new Map([['Key', 'v']]), 'm', 'keys'],
    ['a key that is no ASCII', new Map([['é', 'v']]), 'm', 'keys'],
    ['a value of 257 bytes', new Map([['k', 'v'.repeat(257)]]), 'm.k', 'has 257'],
    ['a control character in a value', new Map([['k', 'a\0']]), 'm.k', 'control'],
    ['2,049 bytes in all', entries(8, 'v'.repeat(253)).set('k00', 'v'.repeat(254)), 'm', 'has 2049'],
  ])('metadata is refused: %s', (_name, value, field, description) => {
    expect(noted((violations) => violations.metadata('m', value))).toEqual([
      { field, description: expect.stringContaining(description) },
    ]);
  });
});

describe('duration', () => {
  test('an unset span gets its default, and a span is rounded down to the millisecond', () => {
    expect(new Violations().duration('d', undefined, 1_000, 2_000, 7)).toBe(7);
    expect(new Violations().duration('d', 1_000.9, 1_000, 2_000, 7)).toBe(1_000);
  });

  test.each([
    ['no Duration', Number.NaN, 'valid Duration'],
    ['a nanosecond too short', 999.999_999, 'from 1 s to 2 s'],
    ['a nanosecond too long', 2_000.000_001, 'from 1 s to 2 s'],
    ['negative', -1, 'is -0.001 s'],
  ])('a duration is refused: %s', (_name, value, description) => {
    expect(noted((violations) => violations.duration('d', value, 1_000, 2_000, 7))).toEqual([
      { field: 'd', description: expect.stringContaining(description) },
    ]);
  });
});

describe('permits', () => {
  test.each([
    [1, 1],
    [1_000_000, 1_000_000],
  ])('permits are accepted: %i of %i', (permits, limit) => {
    expect(noted((violations) => violations.mode('p', { kind: 'permits', permits, limit }))).toEqual([]);
  });

  test.each([
    [1, 0, 'p.limit'],
    [1, -1, 'p.limit'],
    [1, 1_000_001, 'p.limit'],
    [0, 5, 'p.permits'],
    [-1, 5, 'p.permits'],
    [6, 5, 'p.permits'],
  ])('permits are refused: %i of %i', (permits, limit, field) => {
    expect(noted((violations) => violations.mode('p', { kind: 'permits', permits, limit }))).toEqual([
      { field, description: expect.any(String) },
    ]);
  });
});
