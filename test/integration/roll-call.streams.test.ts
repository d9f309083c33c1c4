// A holder who moves to another instance in a failover, before the instance that told of the lease has put it back: two
// servers on one Redis, over real channels. The other rules of roll calls are in roll-call.rules.test.ts.

import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { AtRiskReason } from '../../generated/leasehold/v1/lease_events.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { eventually } from '../support/eventually.ts';
import { keepAlive } from '../support/lease-stream.ts';
import { OperationClient } from '../support/operation-client.ts';
import { ServerProcess } from '../support/server-process.ts';
import { duration, startInstance, TestClient } from '../support/test-instance.ts';
import { type AtEnd, directly, outcomeOf, ownRedis } from '../support/watched-redis.ts';

/** Long enough for a busy machine: the one that told is held back for a part of it. */
const TTL = duration(30_000);

/** `x` is a process, which can be held back; `y` is here. */
async function two(atEnd: AtEnd) {
  const redis = await ownRedis(atEnd);
  const prefix = `t-${randomUUID()}:`;
  const environment = {
    ...directly(redis.listens),
    LEASEHOLD_REDIS_BOOTSTRAP: 'new',
    LEASEHOLD_REDIS_KEY_PREFIX: prefix,
    LEASEHOLD_REDIS_ROLL_CALL: 'on',
  };
  const x = await ServerProcess.start({ environment });
  atEnd(() => x.kill());
  const y = await startInstance(environment);
  atEnd(() => y.stop());
  const [atX, atY] = [new TestClient(x.address), new TestClient(y.address)];
  atEnd(() => {
    for (const client of [atX, atY]) client.close();
  });
  for (const client of [atX, atY]) {
    const answers = async () => (await outcomeOf(client.acquire({ resource: randomUUID() }))) === 'OK';
    await eventually(answers, { what: 'an instance that grants', withinMs: 30_000 });
  }
  const { meta, lockPrefix } = keysFor(prefix);

  /**
   * The next primary lacks this lock, which was granted after `before`, and X hears nothing of that until it is
   * continued.
   */
  async function failOverWithoutX(before: readonly (string | null)[], resource: string): Promise<void> {
    const { epoch } = y.store.status();
    x.process.kill('SIGSTOP');
    atEnd(() => void x.process.kill('SIGCONT'));
    await redis.withClient((client) =>
      client
        .multi([
          ['del', `${lockPrefix}${resource}`],
          ['hset', meta, 'clock', before[0] ?? '', 'last', before[1] ?? ''],
          ['debug', 'change-repl-id'],
          ['client', 'kill', 'skipme', 'yes'],
        ])
        .exec(),
    );
    const hasJoined = () => y.store.status().usable && y.store.status().epoch > epoch;
    await eventually(hasJoined, { what: 'the next reign', withinMs: 15_000 });
  }

  return {
    x,
    y,
    atX,
    atY,
    failOverWithoutX,
    moment: () => redis.withClient((client) => client.hmget(meta, 'clock', 'last')),
    continueX: () => x.process.kill('SIGCONT'),
  };
}

describe.concurrent('an instance that has not put back what it told', { timeout: 90_000 }, () => {
  test('the stream of a lease that the new primary lacks lives at another instance, and is renewed once it is put back', async ({
    onTestFinished,
  }) => {
    const { y, atX, atY, moment, failOverWithoutX, continueX } = await two(onTestFinished);
    const before = await moment();
    const { lease } = await atX.acquire({ resource: 'r', ttl: TTL });
    if (!lease) throw new Error('no lease');
    await failOverWithoutX(before, 'r');
    const stream = keepAlive(atY, [lease]);
    const { reason } = await stream.event('atRisk');
    expect(reason).toBe(AtRiskReason.AT_RISK_REASON_STORE_UNAVAILABLE);
    expect(await outcomeOf(atY.renew(lease))).toBe('QUARANTINE');
    expect(stream.hasEnded).toBe(false);
    continueX();
    expect(await stream.event('renewed')).toMatchObject({ fencingToken: lease.fencingToken });
    expect(stream.all('lost')).toEqual([]);
    expect(await outcomeOf(atY.renew(lease))).toBe('OK');
    const metrics = await y.metricsText();
    expect(metrics).toMatch(/^leasehold_lease_losses_total\S* 0$/m);
    expect(metrics).not.toMatch(/^leasehold_lease_losses_total\S* [1-9]/m);
    stream.call.cancel();
  });

  test('the stream of an attempt whose lease the new primary lacks goes on once that is put back', async ({
    onTestFinished,
  }) => {
    const { x, y, moment, failOverWithoutX, continueX } = await two(onTestFinished);
    const before = await moment();
    const [workerAtX, workerAtY] = [new OperationClient(x.address), new OperationClient(y.address)];
    onTestFinished(() => {
      for (const client of [workerAtX, workerAtY]) client.close();
    });
    const attempt = await workerAtX.started({
      resource: 'r',
      operationId: 'o',
      heartbeatTimeout: TTL,
      lock: {},
    });
    await failOverWithoutX(before, 'r');
    const stream = workerAtY.keepAlive(attempt);
    await stream.event('atRisk');
    continueX();
    expect(await stream.event('renewed')).toMatchObject({ fencingToken: attempt.fencingToken });
    expect(stream.all('lost')).toEqual([]);
    stream.call.cancel();
  });
});
