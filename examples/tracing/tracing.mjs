// Sends the spans of a Leasehold server, or of a program that uses its client, to an OpenTelemetry collector. It is
// loaded before the program, which knows nothing of it:
//
//   npm install @opentelemetry/sdk-trace-node @opentelemetry/exporter-trace-otlp-http @opentelemetry/resources
//   OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 NODE_OPTIONS='--import ./tracing.mjs' leasehold serve

import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-node';

const serviceName = process.env.OTEL_SERVICE_NAME ?? 'leasehold';
// Of the traces that begin here, this part; a caller that has decided is obeyed.
const ratio = Number(process.env.OTEL_TRACES_SAMPLER_ARG ?? 1);

const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': serviceName }),
  sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
provider.register();

// A program that just ends. (A server that is stopped sends what is left by itself.)
process.once('beforeExit', () => provider.shutdown());
