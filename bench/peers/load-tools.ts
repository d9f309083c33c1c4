// Load from third-party programs: h2load or ghz makes the same call again and again, and redis-benchmark sends scripts
// directly to Redis. Owns their arguments and the reading of their reports, which must say that every call was
// answered.
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AcquireRequest, LockServiceService } from '../../generated/leasehold/v1/lock_service.ts';
import { temporaryFolder } from '../../test/support/redis/orphan-guard.ts';
import type { RedisProcess } from '../../test/support/redis/redis-process.ts';
import { runCommand } from '../../test/support/redis/run-program.ts';
import { ACQUIRE, argumentsOf, RELEASE, TTL_US } from '../floor-scripts.ts';
import { MESSAGE_PREFIX_BYTES } from '../loads/call-frames.ts';
import type { Program } from './installed.ts';

const PROTO = join(import.meta.dirname, 'acquire.proto');
const TIMEOUT_MS = 120_000;
const LEASE_ID = '3f0e4c1a-6d52-4b8e-9a77-2c9d1e5f8b04';

export interface ToolLoad {
  readonly calls: number;
  readonly tookMs: number;
}

/**
 * Makes the same Acquire each time, so that all but the first repeat an acquisition that is already held: the same
 * bytes each way, and a script that writes, on Leasehold, too. h2load reads no trailers: the bodies of all answers show
 * that none was an error.
 */
export async function byH2load(
  { path, env }: Program,
  address: string,
  { callers, calls }: { readonly callers: number; readonly calls: number },
): Promise<ToolLoad> {
  const file = join(await mkdtemp(join(temporaryFolder(), 'h2load-')), 'acquire');
  const spec = { resource: 'bench-h2load', leaseId: LEASE_ID, owner: 'bench' };
  const message = AcquireRequest.encode(AcquireRequest.fromPartial({ spec })).finish();
  const prefix = Buffer.alloc(MESSAGE_PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  await writeFile(file, Buffer.concat([prefix, message]));
  const headers = ['content-type: application/grpc', 'te: trailers'].flatMap((line) => ['-H', line]);
  const load = ['-n', String(calls), '-c', '1', '-m', String(callers), '-d', file, ...headers];
  const url = `http://${address}${LockServiceService.acquire.path}`;
  const report = await runCommand(path, [...load, url], { timeoutMs: TIMEOUT_MS, env });
  const [, seconds] = /finished in ([\d.]+)(m?s)/.exec(report) ?? [];
  const unitMs = /finished in [\d.]+ms/.test(report) ? 1 : 1_000;
  const [, succeeded] = /(\d+) succeeded/.exec(report) ?? [];
  const [, bodyBytes] = /\((\d+)\) data/.exec(report) ?? [];
  // The answer names the resource and the lease.
  const least = calls * (spec.resource.length + LEASE_ID.length);
  if (Number(succeeded) !== calls || !(Number(bodyBytes) > least)) throw new Error(`h2load: ${report}`);
  return { calls, tookMs: Number(seconds) * unitMs };
}

/** Makes each Acquire for a lock of its own, which is left to expire. */
export async function byGhz(
  { path, env }: Program,
  address: string,
  { callers, calls }: { readonly callers: number; readonly calls: number },
): Promise<ToolLoad> {
  const request = {
    spec: { resource: 'bench-{{.UUID}}', lease_id: '{{.UUID}}', owner: 'bench', ttl: '1s' },
  };
  const call = [
    '--insecure',
    '--proto',
    PROTO,
    '--call',
    'leasehold.v1.LockService.Acquire',
    '-d',
    JSON.stringify(request),
  ];
  const load = ['-c', String(callers), '-n', String(calls), '--connections', '1', '--format', 'json'];
  const output = await runCommand(path, [...call, ...load, address], {
    timeoutMs: TIMEOUT_MS,
    env,
  });
  // As ghz documents its report; `total` is in nanoseconds.
  const report = JSON.parse(output) as { total: number; statusCodeDistribution: Record<string, number> };
  if (report.statusCodeDistribution.OK !== calls) {
    throw new Error(`ghz: ${JSON.stringify(report.statusCodeDistribution)}`);
  }
  return { calls, tookMs: report.total / 1e6 };
}

/** Runs the floor's two scripts on as many locks as there are callers. */
export async function byRedisBenchmark(
  { path, env }: Program,
  redis: RedisProcess,
  { callers, calls }: { readonly callers: number; readonly calls: number },
): Promise<ToolLoad> {
  const [acquire, release] = await redis.withClient((client) =>
    Promise.all([ACQUIRE, RELEASE].map((source) => client.script('LOAD', source))),
  );
  const half = Math.round(calls / 2);
  const resource = 'bench-__rand_int__';
  const scripts = [
    [String(acquire), ...argumentsOf(resource, LEASE_ID, TTL_US, '["bench",[]]')],
    [String(release), ...argumentsOf(resource, LEASE_ID)],
  ];
  let tookMs = 0;
  for (const script of scripts) {
    const where = ['-h', redis.listens.host, '-p', String(redis.listens.port)];
    const load = ['-c', String(callers), '-n', String(half), '-r', String(callers), '--csv'];
    const report = await runCommand(path, [...where, ...load, 'EVALSHA', ...script], {
      timeoutMs: TIMEOUT_MS,
      env,
    });
    const perSecond = Number(/^"EVALSHA[^\n]*?","([\d.]+)"/m.exec(report)?.[1]);
    if (!(perSecond > 0)) throw new Error(`redis-benchmark: ${report}`);
    tookMs += (half / perSecond) * 1_000;
  }
  return { calls: 2 * half, tookMs };
}
