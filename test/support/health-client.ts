// A client of grpc.health.v1, for what load balancers see.
import {
  type ChannelCredentials,
  type Client,
  credentials,
  makeGenericClientConstructor,
} from '@grpc/grpc-js';
import { service } from 'grpc-health-check';
import { formatHostPort, type HostPort } from '../../src/domain/host-port.ts';

export const LOCK_SERVICE = 'leasehold.v1.LockService';

interface HealthStub extends Client {
  check(
    request: { service: string },
    options: { deadline: number },
    callback: (error: Error | null, response?: { status: string }) => void,
  ): void;
  watch(request: { service: string }): NodeJS.ReadableStream & { cancel(): void };
}

export class HealthClient {
  readonly #stub: HealthStub;

  constructor(address: HostPort, channelCredentials: ChannelCredentials = credentials.createInsecure()) {
    const Stub = makeGenericClientConstructor(service, 'Health');
    this.#stub = new Stub(formatHostPort(address), channelCredentials, {
      'grpc.initial_reconnect_backoff_ms': 50,
    }) as unknown as HealthStub; // the methods come from the service definition
  }

  /** 'SERVING', 'NOT_SERVING', …; rejects for a service that the server does not know. */
  check(name: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#stub.check({ service: name }, { deadline: Date.now() + 5_000 }, (error, response) =>
        error ? reject(error) : resolve(response?.status ?? ''),
      );
    });
  }

  /** All states that the stream has told so far, and 'ended' when it is over. The stream stays open until then. */
  watch(name: string): readonly string[] {
    const told: string[] = [];
    const stream = this.#stub.watch({ service: name });
    stream.on('data', ({ status }: { status: string }) => told.push(status));
    stream.on('error', () => told.push('ended'));
    return told;
  }

  close(): void {
    this.#stub.close();
  }
}
