// The spans of a server: one for each call, with the caller's as its parent, and below it one for each script that the
// call sends to Redis. Nothing is put together where no OpenTelemetry SDK is registered, or where its sampler leaves
// the call out.
//
// The span of a stream ends when the stream has what it was opened for, such as the grant of a lease or the snapshot of
// a watch: nobody sees a span that lives for hours until it ends, and it is lost with the process. If a lease or an
// attempt is lost later, that is a short span of its own, linked to the first.

import {
  type Attributes,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { Trace, TraceFacts } from '../domain/trace.ts';
import { activeTracer, safely } from './active-tracer.ts';
import { requestAttributes } from './call-attributes.ts';

/** The part of a gRPC call that spans need. */
export interface TracedCall {
  /** `/leasehold.v1.LockService/Acquire` */
  readonly path: string;
  readonly metadata: {
    get(key: string): readonly (string | Buffer)[];
    /** One value of each key. */
    getMap(): object;
  };
  readonly request: unknown;
}

export interface CallTracingOptions {
  readonly version: string;
  /** Whether spans show the names of resources and the types of operations, and not only hashes. */
  readonly names: boolean;
}

/** Sent every few seconds by whatever keeps leases: worth a span only in the trace of somebody who asked for one. */
const ONLY_WITH_PARENT = /\/KeepAlive(Operation)?$/;
/** A call that waits for long has many positions in its queue, and asks Redis again and again. */
const MOST_EVENTS = 32;
const MOST_COMMANDS = 64;
/** What the conventions of OpenTelemetry count as an error of the server, and not of its caller. */
const SERVER_ERRORS: ReadonlySet<string> = new Set([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
]);

const METADATA = {
  keys: (metadata: TracedCall['metadata']): string[] => Object.keys(metadata.getMap()),
  get(metadata: TracedCall['metadata'], key: string): string[] {
    return metadata.get(key).filter((value) => typeof value === 'string');
  },
};

export class CallTracing {
  readonly #options: CallTracingOptions;

  constructor(options: CallTracingOptions) {
    this.#options = options;
  }

  /** Undefined where nobody would see it. */
  begin(call: TracedCall): CallTrace | undefined {
    const tracer = activeTracer(this.#options.version);
    return tracer && safely(() => this.#begin(tracer, call));
  }

  #begin(tracer: Tracer, call: TracedCall): CallTrace | undefined {
    const parent = propagation.extract(ROOT_CONTEXT, call.metadata, METADATA);
    const path = call.path.slice(1);
    if (ONLY_WITH_PARENT.test(path) && !trace.getSpanContext(parent)) return undefined;
    const span = tracer.startSpan(path, { kind: SpanKind.SERVER }, parent);
    if (!span.isRecording()) return undefined;
    const slash = path.indexOf('/');
    // Whatever goes wrong here, the span has begun, and has to end.
    safely(() =>
      span.setAttributes({
        'rpc.system': 'grpc',
        'rpc.service': path.slice(0, slash),
        'rpc.method': path.slice(slash + 1),
        ...requestAttributes(call.request, this.#options.names),
      }),
    );
    return new CallTrace(tracer, span, path);
  }
}

/** One call, from its arrival to its answer. */
export class CallTrace implements Trace {
  readonly #tracer: Tracer;
  readonly #path: string;
  readonly #context: SpanContext;
  /** Undefined once it has ended: a stream may live for hours after that. */
  #span: Span | undefined;
  #events = 0;
  #commands = 0;

  constructor(tracer: Tracer, span: Span, path: string) {
    this.#tracer = tracer;
    this.#path = path;
    this.#context = span.spanContext();
    this.#span = span;
  }

  event(name: string, facts: TraceFacts = {}): void {
    safely(() => {
      if (name === 'queued') this.#span?.setAttribute('leasehold.queued', true);
      if (++this.#events <= MOST_EVENTS) this.#span?.addEvent(name, attributesOf(facts));
    });
  }

  command(name: string): (outcome: string) => void {
    const span = this.#span;
    if (!span || ++this.#commands > MOST_COMMANDS) return () => {};
    const attributes = { 'db.system.name': 'redis', 'db.operation.name': `EVALSHA ${name}` };
    const options = { kind: SpanKind.CLIENT, attributes };
    const parent = trace.setSpan(ROOT_CONTEXT, span);
    const child = safely(() => this.#tracer.startSpan(`EVALSHA ${name}`, options, parent));
    return (outcome) => {
      safely(() => {
        child?.setAttribute('leasehold.outcome', outcome);
        if (outcome === 'error') child?.setStatus({ code: SpanStatusCode.ERROR });
      });
      safely(() => child?.end());
    };
  }

  answered(outcome: string): void {
    this.ended('OK', 0, outcome);
  }

  lost(reason: string): void {
    if (this.#span) {
      this.event('lost', { reason });
      return;
    }
    const options = { links: [{ context: this.#context }], attributes: { 'leasehold.outcome': reason } };
    safely(() => {
      const span = this.#tracer.startSpan(`${this.#path} lost`, options, ROOT_CONTEXT);
      span.setStatus({ code: SpanStatusCode.ERROR, message: reason });
      span.end();
    });
  }

  /** The call is over, if that wasn't said before. `outcome`: `ok`, or the reason of the refusal. */
  ended(code: string, number: number, outcome: string): void {
    const span = this.#span;
    if (!span) return;
    this.#span = undefined;
    safely(() => {
      span.setAttributes({ 'rpc.grpc.status_code': number, 'leasehold.outcome': outcome });
      if (this.#commands > MOST_COMMANDS) span.setAttribute('leasehold.commands', this.#commands);
      if (SERVER_ERRORS.has(code)) span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
    });
    safely(() => span.end());
  }
}

function attributesOf(facts: TraceFacts): Attributes {
  return Object.fromEntries(Object.entries(facts).map(([name, fact]) => [`leasehold.${name}`, fact]));
}
