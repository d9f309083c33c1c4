// What a caller can't get by making up a page token: anybody can make the digest, which has no secret.

import { expect, test } from 'vitest';
import { type Listing, pageTokenFor, positionIn } from '../../src/service/page-tokens.ts';

const listing: Listing = { kind: 'locks', prefix: 'team-b:', filters: ['', []] };

test('a made-up page token that begins outside of the prefix is refused', () => {
  expect(positionIn(listing, pageTokenFor(listing, 'team-b:x'))).toBe('team-b:x');
  for (const position of ['', 'team-a:x', '\0', 'team-c:x', '\u{10ffff}'])
    expect(() => positionIn(listing, pageTokenFor(listing, position))).toThrow(/page_token/);
});

test('a page token of another prefix, of another listing, or with other bytes is refused', () => {
  const token = pageTokenFor(listing, 'team-b:x');
  expect(() => positionIn({ ...listing, prefix: 'team-' }, token)).toThrow(/page_token/);
  expect(() => positionIn({ ...listing, kind: 'operations' }, token)).toThrow(/page_token/);
  const cut = Buffer.concat([Buffer.from(token, 'base64url'), Buffer.from([0xff])]).toString('base64url');
  expect(() => positionIn(listing, cut)).toThrow(/page_token/);
});
