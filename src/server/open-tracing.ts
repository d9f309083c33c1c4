// The tracing of one instance: its spans, a warning where they can't come, and their end with the process.

import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { type Clock, within } from '../domain/clock.ts';
import { flushSpans, unusableSdk } from '../tracing/active-tracer.ts';
import { CallTracing } from '../tracing/call-tracing.ts';

/** How long the end of the process waits for a collector. */
const FLUSH_MS = 1_000;

export interface OpenTracing {
  readonly calls: CallTracing;
  /** Sends what is left. Never rejects. */
  flush(): Promise<void>;
}

export function openTracing({ monitoring }: Config, log: Logger, clock: Clock, version: string): OpenTracing {
  const apiOfSdk = unusableSdk();
  if (apiOfSdk !== undefined) {
    const message =
      'the OpenTelemetry SDK gets no spans: its @opentelemetry/api is older than that of Leasehold';
    log.warn({ apiOfSdk }, message);
  }
  return {
    calls: new CallTracing({ version, names: monitoring.traceNames }),
    flush: () => within(clock, FLUSH_MS, flushSpans(), () => new Error('no time')).catch(() => {}),
  };
}
