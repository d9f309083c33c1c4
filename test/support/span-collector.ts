// A collector of OpenTelemetry in this process: takes what the OTLP exporter of any process sends over HTTP, as JSON,
// and keeps the spans for tests to look at.

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually } from './eventually.ts';

export interface CollectedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  /** As OTLP counts: 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly string[];
}

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** The part of an OTLP request that is looked at. */
interface Exported {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<CollectedSpan, 'service' | 'attributes' | 'events'> & {
        readonly attributes: readonly KeyValue[];
        readonly events: readonly { readonly name: string }[];
      })[];
    }[];
  }[];
}

export class SpanCollector {
  readonly url: string;
  readonly spans: CollectedSpan[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    const { port } = server.address() as AddressInfo; // listening on TCP
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<SpanCollector> {
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const isTraces = request.method === 'POST' && request.url === '/v1/traces';
      if (isTraces) collector.#take(JSON.parse(Buffer.concat(chunks).toString()) as Exported);
      response.writeHead(isTraces ? 200 : 404, { 'content-type': 'application/json' }).end('{}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const collector = new SpanCollector(server);
    return collector;
  }

  /** The first span of this name, once it has come. */
  async span(name: string, withinMs = 15_000): Promise<CollectedSpan> {
    const found = () => this.spans.find((span) => span.name === name);
    await eventually(() => found() !== undefined, { what: `the span ${name}`, withinMs });
    return found() as CollectedSpan; // it was waited for
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take({ resourceSpans }: Exported): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = String(plain(resource.attributes)['service.name']);
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
        const events = span.events.map(({ name }) => name);
        const parentSpanId = span.parentSpanId ?? '';
        this.spans.push({ ...span, service, parentSpanId, events, attributes: plain(span.attributes) });
      }
    }
  }
}

function plain(attributes: readonly KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
