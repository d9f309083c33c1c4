// Operations of the TypeScript client, against real servers on both stores: run once however many callers ask, taken
// over when a worker is lost, given back when one stops.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  AttemptLostError,
  type Client,
  GiveBack,
  type Handled,
  OperationEndedError,
  type OperationState,
  RawPayload,
} from '../../src/client/client.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { eventually } from '../support/eventually.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { clientTo, collected, proxyTo, refusal, rigOf, started, thrown } from '../support/sdk-rig.ts';
import { STORE_KINDS, singleRedis } from '../support/store-kinds.ts';

const soon = { withinMs: 10_000, everyMs: 5 };

function isState(client: Client, resource: string, id: string, state: OperationState): Promise<unknown> {
  const isSo = async (): Promise<boolean> => (await client.operations.get(resource, id)).state === state;
  return eventually(isSo, { what: `${id} ${state}`, ...soon });
}

/** Work that the test ends, and that counts how often it was begun. */
function gate<T>() {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
  let count = 0;
  const work = (): Promise<T> => {
    count++;
    enter();
    return promise;
  };
  return { work, entered, resolve, reject, count: () => count };
}

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason));
  });

describe.each(STORE_KINDS)('on the %s store', (kind) => {
  test('An operation that many ask for at once is done once, and all of them and a repeat get the result', async () => {
    const { instance } = await rigOf(kind);
    const [here, there] = [clientTo(instance.address), clientTo(instance.address)];
    const { work, entered, resolve, count } = gate<{ pages: number }>();
    const runs = [here, there, here, there].map((client) =>
      client.operations.run('report', '2026-11', work, { data: { month: 11 } }),
    );
    await entered;
    await isState(here, 'report', '2026-11', 'running');
    resolve({ pages: 7 });
    expect(await Promise.all(runs)).toEqual(Array(4).fill({ pages: 7 }));
    const repeat = await there.operations.run('report', '2026-11', work, { data: { month: 11 } });
    expect([repeat, count()]).toEqual([{ pages: 7 }, 1]);
    const other = await refusal(there.operations.run('report', '2026-11', work, { data: { month: 12 } }));
    expect(other).toMatchObject({ name: 'OperationRefusedError', reason: 'OPERATION_EXISTS' });
  });

  test('The work receives its data, token and signal, and its progress and updates are recorded', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address, { owner: 'me' });
    const work = client.operations.run<string, { to: string }>(
      'mail',
      '1',
      async (context) => {
        const { progress, remainingMs } = context; // can be destructured
        expect([context.data.to, context.attempt, context.lastProgress]).toEqual(['you', 1, undefined]);
        expect(context.fencingToken).toBeGreaterThan(0n);
        expect(remainingMs()).toBeGreaterThan(3_000);
        await progress({ sent: 1 });
        await context.update({ data: { to: 'them' }, setLabels: { seen: 'yes' } });
        const now = await client.operations.get('mail', '1');
        expect(now).toMatchObject({
          progress: { sent: 1 },
          data: { to: 'them' },
          labels: { seen: 'yes' },
          owner: 'me',
        });
        return 'sent';
      },
      { data: { to: 'you' }, heartbeatTimeoutMs: 5_000, type: 'mail' },
    );
    expect(await work).toBe('sent');
  });

  test('Work that throws fails its operation, a repeat hears why, and a retry runs it again', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    const own = new RangeError('no such month');
    const failing = client.operations.run('r', '1', () => Promise.reject(own));
    expect(await thrown(failing)).toBe(own);
    const repeat = await refusal(client.operations.run('r', '1', () => expect.fail('again')));
    expect(repeat).toMatchObject({
      name: 'OperationEndedError',
      reason: 'OPERATION_FAILED',
      detail: 'no such month',
    });
    expect((await client.operations.retry('r', '1')).state).toBe('pending');
    expect(await client.operations.run('r', '1', ({ attempt }) => attempt)).toBe(2);
    expect(await client.operations.remove('r', '1')).toBe(true);
    expect(await refusal(client.operations.get('r', '1'))).toMatchObject({ reason: 'OPERATION_NOT_FOUND' });
  });

  test('An error of the work that looks like one of Leasehold’s is still the work’s', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    await using _taken = await client.acquire('inner');
    const nested = client.operations.run('outer', '1', () => client.acquire('inner', { waitMs: 0 }));
    expect(await refusal(nested)).toMatchObject({ name: 'ContendedError' });
    expect((await client.operations.get('outer', '1')).state).toBe('failed');
  });

  test('A result that can’t be recorded fails the operation', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    expect(await thrown(client.operations.run('r', 'bigint', () => 1n))).toBeInstanceOf(TypeError);
    expect((await client.operations.get('r', 'bigint')).state).toBe('failed');
    const large = await refusal(client.operations.run('r', 'large', () => 'x'.repeat(40_000)));
    expect(large).toMatchObject({ name: 'InvalidArgumentError', violations: [{ option: 'result' }] });
    expect(large.message).toMatch(
      /^The work is done, but its result is refused \(result: must have at most /,
    );
    const { state, error } = await client.operations.get('r', 'large');
    expect([state, error?.message]).toEqual(['failed', large.message]);
    // Larger than the largest message, which the server refuses without reading it.
    const huge = await refusal(client.operations.run('r', 'huge', () => 'x'.repeat(200_000)));
    expect(huge.message).toMatch(/^The work is done, but its result is refused \(/);
    expect((await client.operations.get('r', 'huge')).error?.message).toBe(huge.message);
    const raw = new RawPayload('example.com/Order', Buffer.from('o'));
    await client.operations.run('r', 'raw', () => raw);
    expect(await client.operations.run('r', 'raw', () => expect.fail('again'))).toEqual(raw);
  });

  test('The work hears of a request to cancel, and its end is recorded as CANCELLED', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    const run = client.operations.run('r', '1', ({ signal }) => untilAborted(signal));
    const ended = thrown(run);
    await isState(client, 'r', '1', 'running');
    await client.operations.cancel('r', '1', { reason: 'not needed' });
    expect(await ended).toBeInstanceOf(OperationEndedError);
    expect(await ended).toMatchObject({ reason: 'OPERATION_CANCELLED', detail: 'not needed' });
    expect(await client.operations.get('r', '1')).toMatchObject({
      state: 'cancelled',
      cancelReason: 'not needed',
    });
    await client.operations.begin('r', '2');
    expect((await client.operations.cancel('r', '2')).state).toBe('cancelled');
  });

  test('An operation whose caller gives up is given back, and the next one goes on from its progress', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    const cancel = new AbortController();
    const reason = new Error('deploy');
    const first = client.operations.run(
      'r',
      '1',
      async ({ signal }) => {
        cancel.abort(reason);
        return untilAborted(signal);
      },
      { signal: cancel.signal },
    );
    expect(await thrown(first)).toBe(reason);
    expect(await client.operations.get('r', '1')).toMatchObject({ state: 'pending', attemptsCounted: 0 });
    expect(await client.operations.run('r', '1', ({ attempt }) => attempt)).toBe(2);
  });

  test('An operation with a lock waits for the lock of its resource, and holds it while it runs', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    const before = await client.acquire('locked');
    const run = client.operations.run(
      'locked',
      '1',
      async ({ fencingToken }) => {
        const { holders } = await client.locks.get('locked');
        return holders[0]?.fencingToken === fencingToken;
      },
      { lock: { metadata: { by: 'run' } }, waitMs: 10_000 },
    );
    const early = await refusal(client.operations.run('locked', '2', () => 1, { lock: true, waitMs: 0 }));
    expect(early.name).toBe('ContendedError');
    await before.release();
    expect(await run).toBe(true);
    expect((await client.locks.get('locked')).state).toBe('free');
  });

  test('A worker runs each operation once, up to its concurrency, and gives back what runs when it stops', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    let [now, most] = [0, 0];
    const handled: Handled[] = [];
    const done: number[] = [];
    const handler = async ({ data }: { readonly data: { n: number } }): Promise<number> => {
      most = Math.max(most, ++now);
      await client.serverInfo();
      now--;
      done.push(data.n);
      return data.n * 2;
    };
    const ids = Array.from({ length: 12 }, (_, n) => n);
    await Promise.all(
      ids.map((n) => client.operations.begin('queue', `${n}`, { type: 'double', data: { n } })),
    );
    const worker = client.operations.worker<{ n: number }>({
      types: ['double'],
      concurrency: 3,
      handler,
      onHandled: (one) => handled.push(one),
    });
    const results = await Promise.all(ids.map((n) => client.operations.wait('queue', `${n}`)));
    expect(results.map(({ result }) => result)).toEqual(ids.map((n) => n * 2));
    expect(done.sort((a, b) => a - b)).toEqual(ids);
    expect([most > 1, most <= 3]).toEqual([true, true]);
    await worker.stop();
    expect(handled.map(({ kind: how }) => how)).toEqual(Array(12).fill('succeeded'));
  });

  test('A worker that stops records handlers that obey, handlers that do not, GiveBack, and failures', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    const handled = new Map<string, Handled['kind']>();
    const begun = new Set<string>();
    const worker = client.operations.worker({
      types: 'mixed',
      concurrency: 5,
      graceMs: 200,
      handler: async ({ operationId, signal }) => {
        begun.add(operationId);
        if (operationId === 'obedient') await untilAborted(signal);
        if (operationId === 'stubborn') await new Promise(() => {});
        if (operationId === 'later') throw new GiveBack({ delayMs: 3_600_000 });
        if (operationId === 'failing') throw new Error('broken');
        return 'done';
      },
      onHandled: ({ operation, kind: how }) => handled.set(operation.operationId, how),
    });
    const ids = ['obedient', 'stubborn', 'later', 'failing', 'plain'];
    for (const id of ids) await client.operations.begin('r', id, { type: 'mixed' });
    await eventually(() => begun.size === 5 && handled.size === 3, { what: 'all begun', ...soon });
    await worker.stop();
    expect(Object.fromEntries(handled)).toEqual({
      obedient: 'given-back',
      stubborn: 'given-back',
      later: 'given-back',
      failing: 'failed',
      plain: 'succeeded',
    });
    const states = await Promise.all(ids.map((id) => client.operations.get('r', id)));
    expect(states.map(({ state }) => state)).toEqual([
      'pending',
      'pending',
      'pending',
      'failed',
      'succeeded',
    ]);
    expect(states[0]?.attemptsCounted).toBe(0);
  });

  test('The caller who stops a worker can change its grace', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    const begun = Promise.withResolvers<void>();
    const handler = (): Promise<never> => {
      begun.resolve();
      return new Promise(() => {});
    };
    const worker = client.operations.worker({ types: 'endless', graceMs: 3_600_000, handler });
    await client.operations.begin('r', 'left', { type: 'endless' });
    await begun.promise;
    await worker.stop({ graceMs: 0 });
    expect((await client.operations.get('r', 'left')).state).toBe('pending');
  });

  test('Operations are listed by filter and page, and a watch also tells of removals', async () => {
    const { instance } = await rigOf(kind);
    const client = clientTo(instance.address);
    for (let n = 0; n < 5; n++) {
      await client.operations.begin(`r${n}`, 'x', {
        type: 'list',
        labels: { even: `${n % 2 === 0}` },
        data: n,
      });
    }
    const labels = { even: 'true' };
    const listed = await collected(client.operations.list({ labels, pageSize: 1, withPayloads: true }));
    expect(listed.map(({ data }) => data).sort()).toEqual([0, 2, 4]);
    expect(await collected(client.operations.list({ states: ['failed'] }))).toEqual([]);
    const seen: string[] = [];
    for await (const change of client.operations.watch({ prefix: 'r0' })) {
      seen.push(change.kind === 'operation' ? change.operation.state : change.kind);
      if (change.kind === 'snapshot-complete') await client.operations.cancel('r0', 'x');
      if (seen.at(-1) === 'cancelled') await client.operations.remove('r0', 'x');
      if (change.kind === 'removed') break;
    }
    expect(seen).toEqual(['pending', 'snapshot-complete', 'cancelled', 'removed']);
  });
});

test('Another worker goes on from the progress of one that was killed', { timeout: 60_000 }, async () => {
  const { address } = await started();
  const client = clientTo(address);
  await client.operations.begin('job', '1', { type: 'killed', heartbeatTimeoutMs: 1_000 });
  const program = join(import.meta.dirname, '../support/sdk-program.ts');
  const child = spawn(process.execPath, [program, 'worker', formatHostPort(address)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    output += part;
  });
  await eventually(() => output.includes('half'), { what: 'its progress', withinMs: 20_000 });
  const joined = client.operations.run('job', '1', ({ attempt, lastProgress }) => [attempt, lastProgress], {
    type: 'killed',
  });
  child.kill('SIGKILL');
  expect(await joined).toEqual([2, 'half']);
});

test('The signal of a worker that no server hears aborts at its deadline, and another one runs', {
  timeout: 60_000,
}, async () => {
  const { address } = await started();
  const proxy = await proxyTo(address);
  const [cut, free] = [clientTo({ host: proxy.host, port: proxy.port }), clientTo(address)];
  const options = { heartbeatTimeoutMs: 2_000 };
  const first = cut.operations.run(
    'job',
    '1',
    async ({ signal }) => {
      await proxy.refuse();
      proxy.drop();
      return untilAborted(signal);
    },
    options,
  );
  const lost = await thrown(first);
  expect(lost).toBeInstanceOf(AttemptLostError);
  expect(lost).toMatchObject({ loss: 'deadline', reason: 'STALE_ATTEMPT' });
  expect(await free.operations.run('job', '1', ({ attempt }) => attempt, options)).toBe(2);
  await proxy.accept();
});

test('An attempt goes on with the other instance when its own stops', { timeout: 90_000 }, async () => {
  const redis = await RedisProcess.server();
  onTestFinished(() => redis.stop());
  await redis.start();
  const [first, second] = [await started(singleRedis(redis)), await started(singleRedis(redis))];
  for (const { store } of [first, second]) {
    await eventually(() => store.status().usable, { what: 'a usable store', withinMs: 20_000 });
  }
  const client = clientTo([first.address, second.address], { random: () => 0 }); // begins with the first
  const events: string[] = [];
  const run = client.operations.run(
    'job',
    '1',
    async ({ attempt, remainingMs, signal }) => {
      await first.stop();
      const before = events.length;
      const isRenewed = (): boolean => events.slice(before).filter((kind) => kind === 'renewed').length >= 6;
      await eventually(isRenewed, { what: 'renewals for longer than its timeout', withinMs: 30_000 });
      return [attempt, remainingMs() > 0, signal.aborted];
    },
    { heartbeatTimeoutMs: 4_000, onEvent: ({ kind }) => events.push(kind) },
  );
  expect(await run).toEqual([1, true, false]);
  expect(events).toContain('reopened');
});

test('A result that could not be recorded at any server is an error that says so', {
  timeout: 60_000,
}, async () => {
  const { address } = await started();
  const proxy = await proxyTo(address);
  const client = clientTo({ host: proxy.host, port: proxy.port });
  const run = client.operations.run(
    'job',
    '1',
    async () => {
      await proxy.refuse();
      proxy.drop();
      return 'done';
    },
    { heartbeatTimeoutMs: 1_000 },
  );
  const error = await refusal(run);
  expect(error).toMatchObject({ name: 'UnavailableError' });
  expect(error.message).toMatch(/^The work has ended, but its result is not recorded/);
  await proxy.accept();
});
