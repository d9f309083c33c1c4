// Connections for those who only look at a deployment: how many there are, and what becomes of one that broke.
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { NodeLines } from '../../src/deployment/node-lines.ts';
import { readTopology } from '../../src/deployment/topology.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { eventually } from '../support/eventually.ts';
import type { RedisProcess } from '../support/redis/redis-process.ts';
import { type AtEnd, ownRedis } from '../support/watched-redis.ts';

function linesFor(atEnd: AtEnd): NodeLines {
  const settings = { connectTimeoutMs: 2_000, name: 'looks' };
  const lines = new NodeLines({ settings, clock: systemClock, timeoutMs: 500 });
  atEnd(() => lines.close());
  return lines;
}

function connections(redis: RedisProcess): Promise<number> {
  return redis.withClient(async (client) => {
    const list = String(await client.call('CLIENT', 'LIST'));
    return list.match(/ name=looks /g)?.length ?? 0;
  });
}

describe.concurrent('the lines to nodes', { timeout: 30_000 }, () => {
  test('questions to one node share a connection, also those that are asked while it opens', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const lines = linesFor(onTestFinished);
    const answers = await Promise.all([1, 2, 3].map(() => lines.ask(redis.listens, 'PING')));
    expect(answers).toEqual(['PONG', 'PONG', 'PONG']);
    expect(await connections(redis)).toBe(1);
    // A refusal is an answer, and costs no connection.
    await expect(lines.ask(redis.listens, 'NONSENSE')).rejects.toThrow(/unknown command/);
    expect(await lines.ask(redis.listens, 'PING')).toBe('PONG');
    expect(await connections(redis)).toBe(1);
    lines.keepOnly([]);
    await eventually(async () => (await connections(redis)) === 0, {
      what: 'no connection',
      withinMs: 5_000,
    });
  });

  test('a node that does not answer is given up in time, and asked on another connection when it is back', async ({
    onTestFinished,
  }) => {
    const redis = await ownRedis(onTestFinished);
    const lines = linesFor(onTestFinished);
    expect(await lines.ask(redis.listens, 'PING')).toBe('PONG');
    await redis.pause();
    await expect(lines.ask(redis.listens, 'ECHO', 'late')).rejects.toThrow('ECHO: no reply within 500 ms');
    await redis.resume();
    // Not the answer to the question before.
    expect(await lines.ask(redis.listens, 'PING')).toBe('PONG');
    await redis.kill();
    await expect(lines.ask(redis.listens, 'PING')).rejects.toThrow();
    await redis.start();
    expect(await lines.ask(redis.listens, 'PING')).toBe('PONG');
  });

  test('after the end nothing is asked, and no connection is left', async ({ onTestFinished }) => {
    const redis = await ownRedis(onTestFinished);
    const lines = linesFor(onTestFinished);
    const asking = lines.ask(redis.listens, 'PING').catch(() => 'given up');
    lines.close();
    await asking;
    await expect(lines.ask(redis.listens, 'PING')).rejects.toThrow('closing');
    await eventually(async () => (await connections(redis)) === 0, {
      what: 'no connection',
      withinMs: 5_000,
    });
  });

  test('a single Redis names its replicas itself', async ({ onTestFinished }) => {
    const primary = await ownRedis(onTestFinished);
    const replica = await ownRedis(onTestFinished, { replicaOf: primary.listens });
    const lines = linesFor(onTestFinished);
    const { host, port } = primary.listens;
    const { redis } = loadConfig({ env: { LEASEHOLD_REDIS_ADDRESS: `${host}:${port}` } });
    if (!redis) throw new Error('a Redis is configured');
    await eventually(
      async () => {
        const { replicas, ...others } = await readTopology(redis, lines, undefined);
        expect(others).toMatchObject({
          primary: primary.listens,
          agreedPrimary: primary.listens,
          sentinels: [],
        });
        return replicas.length === 1 && replicas[0]?.port === replica.listens.port;
      },
      { what: 'the replica', withinMs: 20_000, everyMs: 100 },
    );
  });
});
