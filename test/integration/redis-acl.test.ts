// The users of docs/redis-acl.md, and what an instance says of a user that has less. The conformance suites run under
// the same user (store-harness.ts); here are whole instances, and each right alone.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { systemClock } from '../../src/domain/clock.ts';
import { Connection } from '../../src/store/redis/connection.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { lackingRights, needsOf, rightMissedBy } from '../../src/store/redis/user-rights.ts';
import { CommandLine } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { LEAST_USER, leastRights, leastUserLine } from '../support/redis/least-user.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { duration } from '../support/test-instance.ts';
import { directly, exists, MASTER_NAME, ownRedis, Watcher } from '../support/watched-redis.ts';

const RIGHTS = leastRights('The user at Redis');
const CREDENTIALS = {
  LEASEHOLD_REDIS_USERNAME: LEAST_USER.username,
  LEASEHOLD_REDIS_PASSWORD: LEAST_USER.password,
};
/** With these an instance works without. */
const DISPENSABLE = ['+client|setname', '+select'];

let shared: RedisProcess;

beforeAll(async () => {
  shared = await RedisProcess.server();
  await shared.start();
});

afterAll(() => shared?.stop());

/** What an instance would find missing. */
async function lacking(rights: string): Promise<readonly string[]> {
  const username = `u-${randomUUID()}`;
  await shared.withClient((client) =>
    client.call('ACL', 'SETUSER', username, 'on', `>${LEAST_USER.password}`, ...rights.split(' ')),
  );
  const settings = { username, password: LEAST_USER.password, connectTimeoutMs: 5_000, name: 'test' };
  const connection = await Connection.open(shared.listens, settings, systemClock);
  try {
    return await lackingRights(connection, keysFor('leasehold:'), 5_000);
  } catch (error) {
    return [rightMissedBy(error) ?? String(error)];
  } finally {
    connection.destroy();
  }
}

describe.concurrent('the rights of the Redis user', { timeout: 40_000 }, () => {
  test('the user of the page lacks nothing, and the default user neither', async () => {
    expect(await lacking(RIGHTS)).toEqual([]);
    expect(await lacking('~* &* +@all')).toEqual([]);
  });

  // Redis 8 takes no question about SUBSCRIBE without a channel: an instance refused every user for it.
  test('an instance asks for the right to whole commands only, as Redis 8 wants it', async () => {
    const asked = needsOf(keysFor('leasehold:')).map(({ words }) => words);
    expect(asked.length).toBeGreaterThan(40);
    const short = await shared.withClient(async (client) => {
      const arity = async (name = ''): Promise<number> => {
        const [info] = z
          .array(z.tuple([z.string(), z.number()]).rest(z.unknown()))
          .parse(await client.call('COMMAND', 'INFO', name));
        return Math.abs(info?.[1] ?? Number.POSITIVE_INFINITY);
      };
      const least = await Promise.all(asked.map(([name]) => arity(name)));
      return asked.filter((words, index) => words.length < (least[index] ?? 0));
    });
    expect(short).toEqual([]);
  });

  test('each right of the page is found missing by its name when it alone is not there', async () => {
    const rights = RIGHTS.split(' ').filter((right) => /^[+]/.test(right) && !DISPENSABLE.includes(right));
    expect(rights.length).toBeGreaterThan(25);
    for (const right of rights) {
      const others = RIGHTS.split(' ').filter((other) => other !== right);
      expect(await lacking(others.join(' '))).toEqual([right]);
    }
  });

  test('keys or channels outside of what the user may reach are found missing as a pattern', async () => {
    const without = (pattern: string): string => RIGHTS.replace(` ${pattern}`, '').replace(`${pattern} `, '');
    expect(await lacking(without('&leasehold:{0}:*'))).toEqual(['&leasehold:{0}:*']);
    expect(await lacking(without('~leasehold:{0}:*'))).toEqual(['~leasehold:{0}:*']);
    const some = RIGHTS.replace('~leasehold:{0}:*', '~leasehold:{0}:meta ~leasehold:{0}:lock:*');
    expect(await lacking(some)).toEqual(['~leasehold:{0}:*']);
    const readable = RIGHTS.replace('~leasehold:{0}:*', '%R~leasehold:{0}:*');
    expect(await lacking(readable)).toEqual(['~leasehold:{0}:*']);
  });

  test('a server whose Redis user has no channels refuses to serve, and names the right', async ({
    onTestFinished,
  }) => {
    const rights = RIGHTS.replace('&leasehold:{0}:* ', '');
    const redis = await ownRedis(onTestFinished, { directives: [leastUserLine(rights)] });
    const server = CommandLine.serve({ ...singleRedis(redis), ...CREDENTIALS });
    onTestFinished(() => server.kill());
    expect(await server.exit()).toBe(1);
    const reason =
      /"level":60.*the Redis user \\"leasehold\\" .* it lacks &leasehold:\{0\}:\* .*"refusing to serve"/;
    expect(server.stdout).toMatch(reason);
    expect(await redis.withClient((client) => client.dbsize())).toBe(0);
  });

  test('a Redis user that cannot even be asked for its rights is refused, and the first right that it lacks is named', async ({
    onTestFinished,
  }) => {
    for (const right of ['+info', '+eval', '+select']) {
      const rights = RIGHTS.replace(new RegExp(`\\${right}(?= )`), '');
      const redis = await ownRedis(onTestFinished, { directives: [leastUserLine(rights)] });
      const watcher = await Watcher.start(onTestFinished, directly(redis.listens), {
        ...CREDENTIALS,
        LEASEHOLD_REDIS_KEY_PREFIX: 'leasehold:',
        LEASEHOLD_REDIS_DB: '2',
      });
      await watcher.says(`it lacks ${right} (`);
      expect(await watcher.acquire()).toBe('DEPLOYMENT_MISMATCH');
    }
  });

  test('a right that is taken away while an instance serves is named, and the instance goes on when it is back', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished, { directives: [leastUserLine(RIGHTS)] });
    const watcher = await Watcher.start(onTestFinished, directly(redis.listens), {
      ...CREDENTIALS,
      LEASEHOLD_REDIS_KEY_PREFIX: 'leasehold:',
    });
    await watcher.usable();
    expect(await watcher.acquire()).toBe('OK');
    await redis.withClient((client) => client.call('ACL', 'SETUSER', LEAST_USER.username, '-hset'));
    await watcher.says('it lacks +hset (');
    await redis.withClient((client) => client.call('ACL', 'SETUSER', LEAST_USER.username, '+hset'));
    await watcher.usable();
    expect(await watcher.acquire()).toBe('OK');
  });

  test('the users of the page at Redis and at a Sentinel are enough for an instance, and nothing is denied in a hand-over', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished, {
      directives: [leastUserLine(RIGHTS), 'min-replicas-to-write 0'],
    });
    const sentinel = await RedisProcess.sentinel({
      self: { id: 'b'.repeat(40), address: { host: '127.0.0.1', port: 1 } },
      others: [],
      deployment: {
        masterName: MASTER_NAME,
        primary: redis.listens,
        replicas: [],
        quorum: 1,
        downAfterMs: 5_000,
        failoverTimeoutMs: 10_000,
      },
    });
    onTestFinished(() => sentinel.stop());
    await sentinel.start();
    const atSentinel = leastRights('The user at the Sentinels').split(' ');
    await sentinel.withClient((client) =>
      client.call('ACL', 'SETUSER', LEAST_USER.username, 'on', `>${LEAST_USER.password}`, ...atSentinel),
    );
    const watcher = await Watcher.start(
      onTestFinished,
      {
        ...directly(sentinel.listens),
        LEASEHOLD_REDIS_FAILOVER_CLUSTER: 'true',
        LEASEHOLD_REDIS_MASTER_NAME: MASTER_NAME,
        LEASEHOLD_REDIS_SENTINEL_USERNAME: LEAST_USER.username,
        LEASEHOLD_REDIS_SENTINEL_PASSWORD: LEAST_USER.password,
      },
      { ...CREDENTIALS, LEASEHOLD_REDIS_KEY_PREFIX: 'leasehold:' },
    );
    await watcher.usable(15_000);
    const { client } = watcher;
    const { lease: first } = await client.acquire({ resource: 'a' });
    const waiting = client.acquire({ resource: 'a' }, { $case: 'waitTimeout', value: duration(20_000) });
    await eventually(() => exists(redis, 'leasehold:{0}:queue:a'), { what: 'a waiter', withinMs: 5_000 });
    await client.release({ resource: 'a', leaseId: first?.leaseId ?? '' });
    const { lease: second } = await waiting;
    expect(second?.resource).toBe('a');
    expect((await client.listLocks({})).locks).toHaveLength(1);
    // No listener was refused its channel.
    const heard = await redis.withClient((connection) =>
      connection.pubsub('CHANNELS', 'leasehold:{0}:instance:*'),
    );
    expect(heard).toHaveLength(1);
    const denied = await redis.withClient((connection) => connection.call('ACL', 'LOG'));
    expect(denied).toEqual([]);
    expect(await sentinel.withClient((connection) => connection.call('ACL', 'LOG'))).toEqual([]);
  });
});
