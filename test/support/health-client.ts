// A client of grpc.health.v1, for what load balancers see.
import { type ChannelCredentials, credentials, Metadata } from '@grpc/grpc-js';
import {
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthClient as Stub,
} from '../../generated/grpc/health/v1/health.ts';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';

export const LOCK_SERVICE = 'leasehold.v1.LockService';

function nameOf({ status }: HealthCheckResponse): string {
  return Object.entries(ServingStatus).find(([, number]) => number === status)?.[0] ?? String(status);
}

export class HealthClient {
  readonly #stub: Stub;

  constructor(address: HostPort, channelCredentials: ChannelCredentials = credentials.createInsecure()) {
    this.#stub = new Stub(formatHostPort(address), channelCredentials, {
      'grpc.initial_reconnect_backoff_ms': 50,
    });
  }

  /** 'SERVING', 'NOT_SERVING', …; rejects for a service that the server does not know. */
  check(name: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#stub.check(
        { service: name },
        new Metadata(),
        { deadline: Date.now() + 5_000 },
        (error, response) => (error ? reject(error) : resolve(nameOf(response))),
      );
    });
  }

  /** All states that the stream has told so far, and 'ended' when it is over. The stream stays open until then. */
  watch(name: string): readonly string[] {
    const told: string[] = [];
    const stream = this.#stub.watch({ service: name });
    stream.on('data', (response: HealthCheckResponse) => told.push(nameOf(response)));
    stream.on('error', () => told.push('ended'));
    return told;
  }

  close(): void {
    this.#stub.close();
  }
}
