// grpc.health.v1 of this server: the process itself ("") is SERVING as long as it lives, the services are SERVING when
// they are ready. Owns the open watches: they never end by themselves, and would keep a stopping server open.

import { status } from '@grpc/grpc-js';
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthService as HealthServiceService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../generated/grpc/health/v1/health.ts';
import { CoordinationError } from '../domain/errors.ts';
import { errorStatus } from './error-status.ts';
import { type Rpc, rpcsOf, type StreamCall } from './grpc/rpc.ts';
import { Outbox } from './stream.ts';

type Watch = StreamCall<HealthCheckRequest, HealthCheckResponse>;

export class HealthService {
  readonly #services: ReadonlySet<string>;
  readonly #watches = new Map<Watch, Outbox<HealthCheckResponse>>();
  #isReady = false;

  /** The services are not ready until `setReady` says so. */
  constructor(services: readonly string[]) {
    this.#services = new Set(services);
  }

  rpcs(): Rpc[] {
    return rpcsOf(HealthServiceService, {
      check: (call) => {
        const health = this.#of(call.request.service);
        if (health.status !== ServingStatus.SERVICE_UNKNOWN) call.answer(health);
        else call.refuse({ code: status.NOT_FOUND, message: 'this server has no such service' });
      },
      list: (call) => {
        const names = ['', ...this.#services];
        call.answer({ statuses: new Map(names.map((name) => [name, this.#of(name)])) });
      },
      watch: (call) => {
        const outbox = new Outbox<HealthCheckResponse>(call);
        this.#watches.set(call, outbox);
        call.onCut = () => this.#watches.delete(call);
        outbox.send(this.#of(call.request.service));
      },
    });
  }

  setReady(isReady: boolean): void {
    this.#isReady = isReady;
    for (const [{ request }, outbox] of this.#watches) {
      if (this.#services.has(request.service)) outbox.send(this.#of(request.service), 'health');
    }
  }

  /** Ends the watches, after their last message. */
  endWatches(): void {
    const draining = new CoordinationError('DRAINING', 'this instance is stopping; use another');
    for (const [watch, outbox] of this.#watches) {
      outbox.flushAll();
      watch.refuse(errorStatus(draining));
    }
    this.#watches.clear();
  }

  #of(service: string): HealthCheckResponse {
    if (service === '') return { status: ServingStatus.SERVING };
    if (!this.#services.has(service)) return { status: ServingStatus.SERVICE_UNKNOWN };
    return { status: this.#isReady ? ServingStatus.SERVING : ServingStatus.NOT_SERVING };
  }
}
