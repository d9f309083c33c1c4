// Asks the server in this container for the health of its process (grpc.health.v1, service "") and ends with 0 if it
// is SERVING. Reads the server's configuration from where the environment gives it (LEASEHOLD_…, and LEASEHOLD_CONFIG
// for a file). Doesn't judge Redis: that is readiness.
import { readFileSync } from 'node:fs';
import { credentials, Metadata } from '@grpc/grpc-js';
import { HealthCheckResponse_ServingStatus, HealthClient } from '../dist/generated/grpc/health/v1/health.js';
import { loadConfig } from '../dist/src/config/load-config.js';

const TIMEOUT_MS = 3_000;

const { server, admin } = loadConfig({ env: process.env });

if (server.tls?.clientCaFile !== undefined && admin !== undefined) byHttp(admin.address);
else byGrpc(server.address);

function byGrpc(address) {
  const client = new HealthClient(reachable(address), transportCredentials(), {
    'grpc.ssl_target_name_override': 'localhost', // TLS takes no IP address as the name of a server
  });
  client.check({ service: '' }, new Metadata(), { deadline: Date.now() + TIMEOUT_MS }, (error, reply) => {
    const isServing = reply?.status === HealthCheckResponse_ServingStatus.SERVING;
    finish(address, error?.message ?? (isServing ? 'SERVING' : 'not serving'), isServing);
  });
}

/** For servers that want to see a client's certificate: there is none in the container to show. */
function byHttp(address) {
  fetch(`http://${reachable(address)}/healthz`, { signal: AbortSignal.timeout(TIMEOUT_MS) }).then(
    (response) => finish(address, `HTTP ${response.status}`, response.ok),
    (error) => finish(address, error.message, false),
  );
}

function transportCredentials() {
  if (server.tls === undefined) return credentials.createInsecure();
  // The name in the certificate is that by which others call this server, and the question is only whether it answers.
  const chain = readFileSync(server.tls.certFile);
  return credentials.createSsl(chain, null, null, { rejectUnauthorized: false });
}

/** An address that stands for all interfaces is none that one can connect to. Both include that of IPv4's loopback. */
function reachable({ host, port }) {
  const own = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return own.includes(':') ? `[${own}]:${port}` : `${own}:${port}`;
}

function finish(address, answer, isHealthy) {
  console.log(`${reachable(address)}: ${answer}`);
  process.exit(isHealthy ? 0 : 1);
}
