// Leasehold and the SDK of its user may each have a copy of @opentelemetry/api. Leasehold's works with one of the same
// age or newer; an older one gets no spans, and that must not go unsaid. And without any SDK a call costs nothing.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as Api from '@opentelemetry/api';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { activeTracer, unusableSdk } from '../../src/tracing/active-tracer.ts';
import { CallTracing } from '../../src/tracing/call-tracing.ts';

const require = createRequire(import.meta.url);
const OURS = join(import.meta.dirname, '../../node_modules/@opentelemetry/api');
const MEETING_POINT = Symbol.for('opentelemetry.js.api.1');

afterEach(() => {
  delete (globalThis as Record<symbol, unknown>)[MEETING_POINT];
});

/** Another copy of the API that says that it has this version, as it would lie beside the user's SDK. */
function copyOfApi(version: string): typeof Api {
  const folder = mkdtempSync(join(tmpdir(), 'opentelemetry-api-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  cpSync(OURS, folder, { recursive: true });
  const file = join(folder, 'build/src/version.js');
  const text = readFileSync(file, 'utf8');
  const changed = text.replace(/VERSION = '[^']+'/, `VERSION = '${version}'`);
  expect(changed).not.toBe(text);
  writeFileSync(file, changed);
  return require(join(folder, 'build/src/index.js')) as typeof Api;
}

function sdkWith({ trace }: typeof Api): Api.Tracer {
  const tracer = trace.getTracer('stands for that of an SDK');
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
  return tracer;
}

test.each(['1.9.99', '1.10.0', '1.27.3'])('an SDK that has a copy %s of the API gets spans', (version) => {
  const tracer = sdkWith(copyOfApi(version));
  expect(activeTracer()).toBe(tracer);
  expect(unusableSdk()).toBeUndefined();
});

test('an SDK that has an older copy of the API gets none, and its version can be told', () => {
  sdkWith(copyOfApi('1.3.0'));
  expect(activeTracer()).toBeUndefined();
  expect(unusableSdk()).toBe('1.3.0');
});

test('without an SDK nothing is read of a call', () => {
  const call = {
    get path() {
      return expect.unreachable('the path was read');
    },
    get metadata() {
      return expect.unreachable('the metadata was read');
    },
    get request() {
      return expect.unreachable('the request was read');
    },
  };
  expect(new CallTracing({ version: '1', names: false }).begin(call)).toBeUndefined();
  expect(unusableSdk()).toBeUndefined();
});
