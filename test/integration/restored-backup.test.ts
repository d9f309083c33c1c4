// What docs/backup.md promises of a backup that is put back: the steps of the restore on a real Redis, and what has
// become of leases, tokens and operations after it. With several nodes, the others start empty and copy this one.
import { randomUUID } from 'node:crypto';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { OperationState } from '../../generated/leasehold/v1/operation.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { quarantineMs } from '../../src/domain/safety.ts';
import type { Instance } from '../../src/server/instance.ts';
import { eventually } from '../support/eventually.ts';
import { OperationClient, payload } from '../support/operation-client.ts';
import { findRedis } from '../support/redis/find-redis.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { duration, startInstance, TestClient } from '../support/test-instance.ts';

/** Long enough for a worker on a busy machine, and short, since the test waits out a quarantine. */
const MAX_TTL_MS = 3_000;
const { mode } = await findRedis();

/** The folder of the node's files. */
async function folderOf(redis: RedisProcess): Promise<string> {
  const [, folder = ''] = await redis.withClient(
    (client) => client.config('GET', 'dir') as Promise<string[]>,
  );
  return folder;
}

async function setAppendOnly(folder: string, value: 'yes' | 'no'): Promise<void> {
  const file = join(folder, 'node.conf');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(/^appendonly .*$/m, `appendonly ${value}`));
}

async function serve(redis: RedisProcess) {
  const instance: Instance = await startInstance({
    LEASEHOLD_REDIS_ADDRESS: formatHostPort(redis.listens),
    // The word that no lease exists must count for nothing once there are data, wherever they come from.
    LEASEHOLD_REDIS_BOOTSTRAP: 'new',
    LEASEHOLD_LOCKS_MAX_TTL: `${MAX_TTL_MS}ms`,
    LEASEHOLD_LOCKS_DEFAULT_TTL: `${MAX_TTL_MS}ms`,
  });
  const locks = new TestClient(instance.address);
  const operations = new OperationClient(instance.address);
  const end = async (): Promise<void> => {
    locks.close();
    operations.close();
    await instance.stop();
  };
  await eventually(async () => (await locks.getServerInfo()).info?.serving === true, {
    what: 'a usable Redis',
    withinMs: 15_000,
  });
  return { locks, operations, end };
}

// The files of a Redis in a container lie in a volume of its own, which this test can't reach.
test.skipIf(mode === 'docker')(
  'A restored backup grants larger tokens, waits out forgotten leases, and makes later operations pending again',
  { timeout: 60_000 },
  async () => {
    const redis = await RedisProcess.server({ appendonly: true });
    onTestFinished(() => redis.stop());
    await redis.start();
    const folder = await folderOf(redis);
    const kept = await mkdtemp(join(tmpdir(), 'leasehold-backup-'));
    onTestFinished(() => rm(kept, { recursive: true, force: true }));

    // Before the backup.
    let server = await serve(redis);
    const acquire = async (resource: string): Promise<bigint> => {
      const { lease } = await server.locks.acquire({ resource, owner: 'w', ttl: duration(MAX_TTL_MS) });
      return lease?.fencingToken ?? 0n;
    };
    const [done, mail, paid] = ['done', 'mail', 'paid'].map((operationId) => ({
      resource: `orders/${operationId}`,
      operationId,
    }));
    if (!done || !mail || !paid) throw new Error('three operations');
    await server.operations.complete(await server.operations.started(done));
    await server.operations.begin(mail);
    await server.operations.begin(paid);
    const before = await acquire('ledger');
    await redis.withClient((client) => client.bgsave());
    await eventually(
      async () => {
        const state = await redis.info('persistence');
        return state.get('rdb_bgsave_in_progress') === '0' && state.get('rdb_last_bgsave_status') === 'ok';
      },
      { what: 'a snapshot', withinMs: 15_000 },
    );
    await copyFile(join(folder, 'dump.rdb'), join(kept, 'backup.rdb'));

    // After it: what the backup knows nothing of.
    const worker = await server.operations.claimed({});
    expect(worker.operationId).toBe('mail');
    await server.operations.complete(worker);
    await server.operations.complete(await server.operations.claimed({}));
    const late = { resource: 'orders/3', operationId: 'late' };
    await server.operations.begin({ ...late, data: payload('of late') });
    const after = await acquire('accounts');
    expect(after).toBeGreaterThan(before);
    await server.end();

    // The restore, as in docs/backup.md. A snapshot beside `appendonly yes` alone is not read.
    await redis.shutDown();
    const putBack = async (): Promise<void> => {
      await rm(join(folder, 'appendonlydir'), { recursive: true, force: true });
      await copyFile(join(kept, 'backup.rdb'), join(folder, 'dump.rdb'));
    };
    await putBack();
    await redis.start();
    expect(await redis.withClient((client) => client.dbsize())).toBe(0);
    await redis.shutDown();
    await putBack();
    await setAppendOnly(folder, 'no');
    await redis.start();
    expect(await redis.withClient((client) => client.exists('leasehold:{0}:meta'))).toBe(1);
    await redis.withClient((client) => client.config('SET', 'appendonly', 'yes'));
    await eventually(
      async () => {
        const state = await redis.info('persistence');
        return state.get('aof_rewrite_in_progress') === '0' && state.get('aof_rewrite_scheduled') === '0';
      },
      { what: 'an append-only file', withinMs: 15_000 },
    );
    // From now on the file has it all, so the node starts as usual.
    await redis.shutDown();
    await setAppendOnly(folder, 'yes');
    await redis.start();
    expect(await redis.withClient((client) => client.exists('leasehold:{0}:meta'))).toBe(1);

    const startedMs = performance.now();
    server = await serve(redis);
    onTestFinished(() => server.end());
    // Nothing is granted at first, although `bootstrap: new` says that nobody can hold anything.
    await expect(acquire('accounts')).rejects.toMatchObject({ reason: 'QUARANTINE' });
    await expect(server.operations.claim({})).rejects.toMatchObject({ reason: 'QUARANTINE' });
    // What is known to be finished can be cancelled before any worker gets it.
    await server.operations.cancel(paid);
    const restored = await eventually(() => acquire('accounts').catch(() => false as const), {
      what: 'the end of the quarantine',
      withinMs: quarantineMs(MAX_TTL_MS) + 15_000,
    });
    expect(performance.now() - startedMs).toBeGreaterThan(quarantineMs(MAX_TTL_MS) - 500);
    // Larger than the tokens of the backup, and than those that it knows nothing of.
    expect(restored).toBeGreaterThan(after);
    // The lease in the backup is over, and its resource is free.
    expect(await acquire('ledger')).toBeGreaterThan(restored);

    // What was finished before the backup is; what was finished later runs again, as if for the first time.
    expect((await server.operations.get(done)).state).toBe(OperationState.OPERATION_STATE_SUCCEEDED);
    const again = await server.operations.claimed({});
    expect([again.operationId, again.fencingToken > worker.fencingToken]).toEqual(['mail', true]);
    expect((await server.operations.claim({})).claimed).toEqual([]);
    expect((await server.operations.get(paid)).state).toBe(OperationState.OPERATION_STATE_CANCELLED);
    await expect(server.operations.complete(worker)).rejects.toMatchObject({ reason: 'STALE_ATTEMPT' });
    // What was begun later is forgotten, and its client can begin it again under the same id.
    await expect(server.operations.get(late)).rejects.toMatchObject({ reason: 'OPERATION_NOT_FOUND' });
    const { operation } = await server.operations.begin({ ...late, claimId: randomUUID() });
    expect(operation?.operationId).toBe('late');
  },
);
