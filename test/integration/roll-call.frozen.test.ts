// An instance that stands still for longer than the registry keeps it, with a lease that it has told. Real Redis; the
// instance that is frozen is a process.
import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { CallError } from '../../src/client/core/call-error.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { entryKeptMs, newcomerWaitMs } from '../../src/domain/safety.ts';
import { eventually } from '../support/eventually.ts';
import { MAX_TTL_MS, Member } from '../support/roll-call-members.ts';
import { ServerProcess } from '../support/server-process.ts';
import { duration, TestClient } from '../support/test-instance.ts';
import { ownRedis } from '../support/watched-redis.ts';

const SLACK_MS = 15_000;

test('an instance that was frozen until it was dropped renews nothing that was asked meanwhile, and then tells the truth', {
  timeout: 90_000,
}, async () => {
  const redis = await ownRedis(onTestFinished);
  const keyPrefix = `t-${randomUUID()}:`;
  const server = await ServerProcess.start({
    environment: {
      LEASEHOLD_REDIS_ADDRESS: formatHostPort(redis.listens),
      LEASEHOLD_REDIS_BOOTSTRAP: 'new',
      LEASEHOLD_REDIS_KEY_PREFIX: keyPrefix,
      LEASEHOLD_REDIS_ROLL_CALL: 'on',
      LEASEHOLD_LOCKS_MAX_TTL: `${MAX_TTL_MS}ms`,
      LEASEHOLD_LOCKS_DEFAULT_TTL: `${MAX_TTL_MS}ms`,
    },
  });
  onTestFinished(() => server.kill());
  const client = new TestClient(server.address);
  onTestFinished(() => client.close());
  await eventually(async () => (await client.getServerInfo()).info?.serving === true, {
    what: 'a usable Redis',
    withinMs: SLACK_MS,
  });
  const y = Member.start(onTestFinished, redis.listens, keyPrefix);
  await y.usable(newcomerWaitMs(MAX_TTL_MS) + SLACK_MS);
  const [resource, leaseId] = ['told', randomUUID()];
  const { lease } = await client.acquire({ resource, leaseId, owner: 'w', ttl: duration(MAX_TTL_MS) });
  const held = { resource, leaseId, fencingToken: lease?.fencingToken ?? 0n };

  server.process.kill('SIGSTOP');
  // It lies in the socket until the process goes on, which then knows of no time that has passed.
  const early = client.renew(held).then(
    () => 'renewed',
    (error) => (error instanceof CallError ? error.reason : String(error)),
  );
  const registered = () => redis.withClient((one) => one.hkeys(`${keyPrefix}{0}:instances`));
  await eventually(async () => (await registered()).join() === y.id, {
    what: 'the end of the frozen instance in the registry',
    withinMs: entryKeptMs(MAX_TTL_MS) + SLACK_MS,
  });
  const { lease: ofY } = await y.grantedAtLast(resource, SLACK_MS);
  server.process.kill('SIGCONT');
  expect(await early).not.toBe('renewed');
  const truth = await eventually(
    async () => {
      try {
        await client.renew(held);
        return 'renewed';
      } catch (error) {
        const reason = error instanceof CallError ? error.reason : String(error);
        return reason !== 'REDIS_UNAVAILABLE' && reason;
      }
    },
    { what: 'what has become of the lease', withinMs: newcomerWaitMs(MAX_TTL_MS) + SLACK_MS, everyMs: 200 },
  );
  expect(truth).toBe('LEASE_LOST');
  expect(ofY.fencingToken).toBeGreaterThan(held.fencingToken);
  expect((await registered()).length).toBe(2);
});
