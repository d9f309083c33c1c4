// A connection to something that breaks the protocol: replies that nobody asked for, or of a form that no command has.
// Redis sends none of them; a proxy in between, or another program on its port, can. The connection must end and the
// process must not.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock, within } from '../../src/domain/clock.ts';
import { Connection } from '../../src/store/redis/connection.ts';
import { list } from '../support/redis/resp.ts';
import { ScriptedServer } from '../support/redis/scripted-server.ts';
import type { AtEnd } from '../support/watched-redis.ts';

const SUBSCRIBED = `*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n`;
const WITHIN_MS = 10_000;

/** Errors that would have ended a server. */
let uncaught: unknown[];
const note = (error: unknown): void => void uncaught.push(error);
let others: NodeJS.UncaughtExceptionListener[];

beforeEach(() => {
  uncaught = [];
  others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', note);
});

afterEach(() => {
  process.off('uncaughtException', note);
  for (const other of others) process.on('uncaughtException', other);
});

/** A connection to a server that answers PING and SUBSCRIBE with these bytes, and logs everybody in. */
async function connectedTo(atEnd: AtEnd, bytes: string): Promise<Connection> {
  const server = await ScriptedServer.start(([name = '']) =>
    /^(ping|subscribe)$/i.test(name) ? bytes : '+OK\r\n',
  );
  atEnd(() => server.close());
  const settings = { connectTimeoutMs: WITHIN_MS, name: 'test' };
  const connection = await Connection.open(server.listens, settings, systemClock);
  atEnd(() => connection.destroy());
  return connection;
}

/** Why it has closed. */
function closing(connection: Connection): Promise<unknown> {
  return within(systemClock, WITHIN_MS, connection.closed, () => new Error('it stays open'));
}

describe('a connection ends, and the process goes on, when there comes', () => {
  test.for([
    ['a second reply to one command', '+PONG\r\n+PONG\r\n'],
    ['an empty reply to no command', '+PONG\r\n$-1\r\n'],
    ['an error to no command', '+PONG\r\n-ERR no\r\n'],
    ['a push without a name', '>1\r\n_\r\n+PONG\r\n'],
    ['what is no protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
  ])('%s', async ([, bytes = ''], { onTestFinished }) => {
    const connection = await connectedTo(onTestFinished, bytes);
    await connection.callWithin(WITHIN_MS, 'PING').catch(() => undefined);
    expect(await closing(connection)).toBeInstanceOf(Error);
    expect(connection.isClosed).toBe(true);
    expect(uncaught).toEqual([]);
  });

  test.for([
    ['an empty answer to SUBSCRIBE', '$-1\r\n'],
    ['a number as the answer to SUBSCRIBE', ':1\r\n'],
    ['a subscription without a channel', '*3\r\n$9\r\nsubscribe\r\n$-1\r\n:1\r\n'],
    ['an empty message', `${SUBSCRIBED}*0\r\n`],
    ['a message without a channel', `${SUBSCRIBED}*3\r\n$7\r\nmessage\r\n$-1\r\n$-1\r\n`],
    ['a subscription that nobody asked for', SUBSCRIBED + SUBSCRIBED],
  ])('%s', async ([, bytes = ''], { onTestFinished }) => {
    const connection = await connectedTo(onTestFinished, bytes);
    await connection.subscribeWithin(WITHIN_MS, 'c', () => {}).catch(() => undefined);
    expect(await closing(connection)).toBeInstanceOf(Error);
    expect(uncaught).toEqual([]);
  });
});

test('a message is heard on the connection that subscribed', async ({ onTestFinished }) => {
  const bytes = SUBSCRIBED + list(['message', 'c', 'hello']);
  const connection = await connectedTo(onTestFinished, bytes);
  const heard = new Promise((resolve) => void connection.subscribeWithin(WITHIN_MS, 'c', resolve));
  expect(await heard).toBe('hello');
  expect(connection.isClosed).toBe(false);
});
