// grpc.health.v1 of this server: the process itself ("") is SERVING as long as it lives, the services are SERVING when
// they are ready. Owns the open watches: they never end by themselves, and would keep a stopping server open.

import type {
  Server,
  ServerWritableStream,
  ServiceDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { CoordinationError } from '../domain/errors.ts';
import { errorStatus } from './error-status.ts';

type Watch = ServerWritableStream<unknown, unknown>;

export class HealthService {
  readonly #services: readonly string[];
  readonly #health = new HealthImplementation({ '': 'SERVING' });
  readonly #watches = new Set<Watch>();

  /** The services are not ready until `setReady` says so. */
  constructor(services: readonly string[]) {
    this.#services = services;
    this.setReady(false);
  }

  addTo(server: Server): void {
    this.#health.addToServer({
      addService: (definition: ServiceDefinition, handlers: UntypedServiceImplementation) => {
        const answer = handlers.watch as (call: Watch) => void; // of grpc.health.v1.Health
        const watch = (call: Watch): void => {
          this.#watches.add(call);
          const forget = (): unknown => this.#watches.delete(call);
          call.once('cancelled', forget);
          call.once('close', forget);
          answer(call);
        };
        server.addService(definition, { ...handlers, watch });
      },
    });
  }

  setReady(ready: boolean): void {
    for (const service of this.#services) this.#health.setStatus(service, ready ? 'SERVING' : 'NOT_SERVING');
  }

  /** Ends the watches, after their last message. */
  endWatches(): void {
    const status = errorStatus(new CoordinationError('DRAINING', 'this instance is stopping; use another'));
    for (const call of this.#watches) call.emit('error', Object.assign(new Error(status.details), status));
  }
}
