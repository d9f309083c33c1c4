// A claim id is told only to the caller that sent it, and no log has it whole: a caller that knows it can write as the
// attempt, and end its lease.

import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { OperationsClient } from '../../generated/google/longrunning/operations.ts';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { leaseIdHash } from '../../src/domain/lock.ts';
import { serve } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { OperationClient, payload, unaryCall } from '../support/operation-client.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { STORE_KINDS, singleRedis } from '../support/store-kinds.ts';
import { duration, TestClient, testEnvironment } from '../support/test-instance.ts';
import { WatchStream } from '../support/watch-stream.ts';

/** The whole value as one text, bytes too. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_, inner) => {
    if (typeof inner === 'bigint') return inner.toString();
    if (inner instanceof Map) return [...inner];
    if (inner instanceof Uint8Array) return Buffer.from(inner).toString('latin1');
    return inner?.type === 'Buffer' ? Buffer.from(inner.data).toString('latin1') : inner;
  });
}

test.each(STORE_KINDS)('a claim_id is told only to its caller: %s store', async (kind) => {
  const redis = kind === 'redis' ? await RedisProcess.server() : undefined;
  await redis?.start();
  const log: string[] = [];
  const overrides = { ...(redis ? singleRedis(redis) : {}), LEASEHOLD_LOG_LEVEL: 'debug' };
  const instance = await serve(
    loadConfig({ env: testEnvironment(overrides) }),
    pino({ level: 'debug' }, { write: (line: string) => log.push(line) }),
  );
  const client = new OperationClient(instance.address);
  const locks = new TestClient(instance.address);
  const standard = new OperationsClient(formatHostPort(instance.address), credentials.createInsecure());
  try {
    await eventually(() => instance.store.status().usable, { what: 'a usable store', withinMs: 10_000 });
    const [first, second] = [randomUUID(), randomUUID()];
    const key = { resource: 'r', operationId: 'o' };
    const lock = LeaseSpec.fromPartial({ ttl: duration(20_000) });
    const watch = client.watch({ withPayloads: true });
    await watch.event('snapshotComplete');
    const lockWatch = new WatchStream(locks);
    const begun = await client.begin({ ...key, claimId: first, lock, data: payload('data') });
    expect(textOf(begun.attempt)).toContain(first); // so that the search below can find something
    const fencingToken = begun.attempt?.fencingToken ?? 0n;
    const seen: unknown[] = [begun.operation];
    const look = async (): Promise<void> => {
      const name = 'resources/r/operations/o';
      seen.push(
        await client.get(key),
        await client.list({ withPayloads: true }),
        await client.wait({ ...key, waitTimeout: duration(1) }),
      );
      seen.push(await unaryCall(standard, 'getOperation', { name }));
      seen.push(await locks.getLock('r'), await locks.listLocks());
      seen.push(await locks.acquire({ resource: 'r' }).catch((error: unknown) => [error, String(error)]));
      const all = { name: '', filter: '', pageSize: 0, pageToken: '', returnPartialSuccess: false };
      seen.push(await unaryCall(standard, 'listOperations', all));
      seen.push(await client.begin({ ...key, data: payload('data'), lock }));
      seen.push(
        await client
          .begin({ ...key, claimId: randomUUID(), data: payload('data'), lock })
          .catch((error: unknown) => [error, String(error)]),
      );
    };
    await look();
    seen.push(await client.yield({ ...key, claimId: first, fencingToken }));
    const { claimed } = await client.claim({ claimId: second });
    seen.push(claimed[0]?.operation);
    await look();
    const held = { ...key, claimId: second, fencingToken: claimed[0]?.attempt?.fencingToken ?? 0n };
    seen.push((await client.update({ ...held, progress: payload('half') })).operation);
    const stale = client.complete({ ...key, claimId: first, fencingToken });
    seen.push(await stale.catch((error: unknown) => [error, String(error)]));
    seen.push(await client.complete({ ...held, releaseLease: true }));
    seen.push((await client.begin({ ...key, claimId: second, data: payload('data'), lock })).operation);
    await watch.event('heartbeat');
    seen.push(watch.events, lockWatch.events);
    expect(lockWatch.told().length).toBeGreaterThan(0);
    watch.call.cancel();
    lockWatch.call.cancel();
    for (const claimId of [first, second]) {
      expect(textOf(seen)).not.toContain(claimId);
      expect(log.join('\n')).not.toContain(claimId);
    }
    // The log has what is searched: the mutations, under a hash.
    const told = log.map((line) => JSON.parse(line)).filter(({ claim }) => claim === leaseIdHash(second));
    expect(told.map(({ rpc, outcome }) => `${rpc} ${outcome}`)).toEqual(
      expect.arrayContaining([
        'ClaimOperations claimed',
        'UpdateOperation ok',
        'CompleteOperation succeeded',
      ]),
    );
    expect(textOf(seen)).toContain('half');
  } finally {
    client.close();
    locks.close();
    standard.close();
    await instance.stop();
    await redis?.stop();
  }
});
