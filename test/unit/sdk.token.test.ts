// The `token` option of the TypeScript client: what it takes, and that no refusal shows any part of a token.
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import {
  type Client,
  type ClientOptions,
  createClient,
  InvalidArgumentError,
} from '../../src/client/client.ts';
import { bearerTokenIn } from '../../src/domain/bearer-token.ts';

const SECRET = 'a-secret-token-of-some-length';

function made(token: ClientOptions['token']): Client {
  return createClient({ addresses: '127.0.0.1:1', token });
}

test.each([`${SECRET}\n`, `${SECRET}\r\n`, `  ${SECRET}\t`])(
  'White space around a token is left out: %j',
  (text) => {
    expect(bearerTokenIn(text)).toBe(SECRET);
    made(text).close();
  },
);

test.each([`${SECRET}\n${SECRET}`, `Bearer ${SECRET}`, `${SECRET}\u0000`, `${SECRET}é`, '', ' \n'])(
  'A token that no header can carry is refused when the client is made, and the error does not show it: %j',
  (text) => {
    let refused: unknown;
    try {
      made(text);
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(InvalidArgumentError);
    expect(inspect(refused, { depth: 10 })).not.toContain('secret');
    expect(refused).toMatchObject({ message: expect.stringMatching(/^token: .*\. Give the token alone/) });
  },
);

test('A token that is no string is refused when the client is made, by the name of the option', () => {
  for (const token of [42, null, { secret: SECRET }]) {
    expect(() => made(token as unknown as string)).toThrow(/^token: must be a string, but it is /);
  }
});

test('A call rejects when the token function gives no token, and the error does not show what it gave', async () => {
  using client = made(() => `${SECRET} ${SECRET}`);
  const calls = [client.serverInfo(), client.acquire('x'), client.locks.watch().next()];
  for (const call of calls) {
    const error: unknown = await call.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'InvalidArgumentError', violations: [{ field: 'token()' }] });
    expect(inspect(error, { depth: 10 })).not.toContain('secret');
  }
});
