// Where spans come from: the tracer of the OpenTelemetry SDK that the process has, if it has one. Leasehold brings only
// the API, which does nothing by itself.

import { createHash } from 'node:crypto';
import { type ProxyTracerProvider, type Tracer, trace } from '@opentelemetry/api';

const TRACER_NAME = 'leasehold';

/**
 * Undefined where no SDK is registered: then nobody has to put a span together. It is asked each time, because an SDK
 * may be registered later.
 */
export function activeTracer(version?: string): Tracer | undefined {
  return safely(() => {
    const provider = trace.getTracerProvider();
    // The API's own provider stands in until an SDK gives it a delegate.
    const standIn = provider as Partial<ProxyTracerProvider>;
    if (typeof standIn.getDelegateTracer !== 'function') return provider.getTracer(TRACER_NAME, version);
    return standIn.getDelegateTracer(TRACER_NAME, version);
  });
}

/** Runs what calls into the SDK: the user's samplers, processors and propagators. What they throw must cost no call. */
export function safely<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/**
 * The version of the API of an SDK that is registered and can't be used here: its copy of the API is older than ours.
 * Without a word about it, spans would just not come.
 */
export function unusableSdk(): string | undefined {
  const all: { readonly [key: symbol]: unknown } = globalThis;
  // Where the API's copies meet; it has no other way to see that one of them was refused.
  const registered = all[Symbol.for('opentelemetry.js.api.1')] as
    | { version?: string; trace?: object }
    | undefined;
  return registered?.trace && !activeTracer() ? (registered.version ?? 'unknown') : undefined;
}

/** Sends what the SDK still keeps, if it can be asked to: the process is about to end. */
export async function flushSpans(): Promise<void> {
  const provider: object = trace.getTracerProvider();
  const sdk: object = 'getDelegate' in provider ? (provider as ProxyTracerProvider).getDelegate() : provider;
  if (!('forceFlush' in sdk) || typeof sdk.forceFlush !== 'function') return;
  await (sdk.forceFlush() as Promise<void>);
}

/** The name of a resource as traces show it: names can be secret. Equal names have equal hashes. */
export function nameHash(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 16);
}
