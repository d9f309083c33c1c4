// Passes the caller's trace on with each call, in the metadata, as OpenTelemetry's propagators write it. It writes
// nothing where the process has no OpenTelemetry SDK.

import { context, propagation } from '@opentelemetry/api';
import { safely } from '../tracing/active-tracer.ts';

export function carryTrace(set: (key: string, value: string) => void): void {
  safely(() =>
    propagation.inject(context.active(), undefined, {
      set: (_carrier, key, value) => set(key.toLowerCase(), value),
    }),
  );
}
