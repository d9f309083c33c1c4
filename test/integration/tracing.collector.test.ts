// Traces as an operator gets them: the server and a client are processes that load examples/tracing/tracing.mjs, and
// their spans arrive at a collector over OTLP.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { serve } from '../../src/server/instance.ts';
import { RedisProcess } from '../support/redis/redis-process.ts';
import { ServerProcess } from '../support/server-process.ts';
import { SpanCollector } from '../support/span-collector.ts';
import { singleRedis } from '../support/store-kinds.ts';
import { testEnvironment } from '../support/test-instance.ts';

const ROOT = join(import.meta.dirname, '../..');
const TRACING = pathToFileURL(join(ROOT, 'examples/tracing/tracing.mjs')).href;
const CLIENT = pathToFileURL(join(ROOT, 'src/client/client.ts')).href;
const SECRET = 'customer-4711';

const PROGRAM = `
  import { createClient } from '${CLIENT}';
  const client = createClient({ addresses: process.argv[1] });
  await client.withLock('${SECRET}', async () => {
    await client.operations.run('${SECRET}', 'o', () => 'done');
  });
  client.close();
`;

test('An SDK that can get no spans is named in the log', async ({ onTestFinished: atEnd }) => {
  const meetingPoint = Symbol.for('opentelemetry.js.api.1');
  const all = globalThis as Record<symbol, unknown>;
  all[meetingPoint] = { version: '1.3.0', trace: {} };
  atEnd(() => void delete all[meetingPoint]);
  const lines: string[] = [];
  const config = loadConfig({ env: testEnvironment() });
  const instance = await serve(config, pino({ level: 'warn' }, { write: (line) => void lines.push(line) }));
  await instance.stop();
  expect(lines.join('')).toContain('"apiOfSdk":"1.3.0","msg":"the OpenTelemetry SDK gets no spans');
});

test('A span of the client, the span of the server and that of the script in Redis are one trace', {
  timeout: 60_000,
}, async ({ onTestFinished: atEnd }) => {
  const collector = await SpanCollector.start();
  atEnd(() => collector.stop());
  const redis = await RedisProcess.server();
  atEnd(() => redis.stop());
  await redis.start();
  const otel = (service: string) => ({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_SERVICE_NAME: service,
    NODE_OPTIONS: `--import ${TRACING}`,
  });
  const environment = { ...singleRedis(redis), ...otel('the server') };
  const server = await ServerProcess.start({ environment });
  atEnd(() => server.kill());
  const program = ['--input-type=module-typescript', '--eval', PROGRAM, formatHostPort(server.address)];
  const client = spawn(process.execPath, program, {
    env: { ...process.env, ...otel('the client') },
    stdio: 'inherit',
  });
  const [code] = await once(client, 'exit');
  expect(code).toBe(0);
  await server.stop(); // it sends what is left

  const withLock = await collector.span('leasehold.withLock');
  const acquire = await collector.span('leasehold.acquire');
  const hold = await collector.span('leasehold.v1.LockService/Hold');
  const script = await collector.span('EVALSHA acquire-lock');
  const run = await collector.span('leasehold.operations.run');
  const begin = await collector.span('leasehold.v1.OperationStoreService/BeginOperation');
  expect([withLock.service, hold.service]).toEqual(['the client', 'the server']);
  expect([withLock.kind, hold.kind, script.kind]).toEqual([1, 2, 3]);
  expect(withLock.parentSpanId).toBe('');
  expect(acquire.parentSpanId).toBe(withLock.spanId);
  expect(hold.parentSpanId).toBe(acquire.spanId);
  expect(script.parentSpanId).toBe(hold.spanId);
  expect(run.parentSpanId).toBe(withLock.spanId); // the user's function runs inside
  expect(begin.parentSpanId).toBe(run.spanId);
  const all = [withLock, acquire, hold, script, run, begin];
  expect(new Set(all.map(({ traceId }) => traceId)).size).toBe(1);
  expect(hold.attributes).toMatchObject({
    'rpc.system': 'grpc',
    'rpc.service': 'leasehold.v1.LockService',
    'rpc.method': 'Hold',
    'rpc.grpc.status_code': 0,
    'leasehold.outcome': 'granted',
    'leasehold.mode': 'exclusive',
    'leasehold.resource.hash': withLock.attributes['leasehold.resource.hash'],
  });
  expect(script.attributes).toMatchObject({
    'db.system.name': 'redis',
    'db.operation.name': 'EVALSHA acquire-lock',
    'leasehold.outcome': 'granted',
  });
  expect(JSON.stringify(collector.spans)).not.toContain(SECRET);
});
