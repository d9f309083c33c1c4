// A Hold or KeepAlive stream as a test reads it: all events so far, the next one of a kind, and how it ended.

import { randomUUID } from 'node:crypto';
import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import type {
  HoldRequest,
  HoldResponse,
  KeepAliveResponse,
} from '../../generated/leasehold/v1/lock_service.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { eventually } from './eventually.ts';
import type { TestClient } from './instance.ts';

type Response = HoldResponse | KeepAliveResponse;
type Event<R extends Response> = NonNullable<R['event']>;
type Kind<R extends Response> = Event<R>['$case'];
type Value<R extends Response, K> = Extract<Event<R>, { $case: K }>['value'];

const WITHIN_MS = 10_000;

export class LeaseStream<R extends Response> {
  readonly events: R[] = [];
  readonly call: ClientReadableStream<R>;
  #end: CallError | 'without an error' | undefined;

  constructor(call: ClientReadableStream<R>) {
    this.call = call;
    call.on('data', (event: R) => this.events.push(event));
    call.on('error', (error: ServiceError) => {
      this.#end = new CallError(error);
    });
    call.on('end', () => {
      this.#end ??= 'without an error';
    });
  }

  kinds(): string[] {
    return this.events.map(({ event }) => event?.$case ?? 'none');
  }

  /** What was told under this kind so far, of one lease if it is named. */
  all<K extends Kind<R>>(kind: K, leaseId?: string): Value<R, K>[] {
    return this.events
      .filter((told) => told.event?.$case === kind && (leaseId === undefined || told.leaseId === leaseId))
      .map((told) => told.event?.value as Value<R, K>); // of this kind, by the line above
  }

  /** Waits for the event number `count` of this kind. */
  event<K extends Kind<R>>(kind: K, { count = 1, leaseId = undefined as string | undefined } = {}) {
    return eventually<Value<R, K> | false>(() => this.all(kind, leaseId)[count - 1] ?? false, {
      what: `event ${count} of ${kind}`,
      withinMs: WITHIN_MS,
      everyMs: 5,
    }) as Promise<Value<R, K>>; // what is awaited is never false
  }

  /** Waits for the end; "CODE-NUMBER REASON". */
  async ended(): Promise<string> {
    const end = await eventually(() => this.#end ?? false, {
      what: 'the end of the stream',
      withinMs: WITHIN_MS,
      everyMs: 5,
    });
    return end instanceof CallError ? `${end.code} ${end.reason}` : end;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }
}

type SpecFields = Parameters<typeof LeaseSpec.fromPartial>[0];

export function hold(
  client: TestClient,
  spec: SpecFields,
  wait?: HoldRequest['wait'],
): LeaseStream<HoldResponse> {
  const full = LeaseSpec.fromPartial({ leaseId: randomUUID(), ...spec });
  return new LeaseStream(client.stub.hold({ spec: full, wait }, client.metadata()));
}

export interface HeldLease {
  readonly resource: string;
  readonly leaseId: string;
  readonly fencingToken: bigint;
}

export function keepAlive(client: TestClient, leases: readonly HeldLease[]): LeaseStream<KeepAliveResponse> {
  const refs = leases.map(({ resource, leaseId, fencingToken }) => ({
    resource,
    leaseId,
    fencingToken,
    ttl: undefined,
  }));
  return new LeaseStream(client.stub.keepAlive({ leases: refs }, client.metadata()));
}

/** `valid_for` in milliseconds. */
export function validForMs(lease: { validFor: { seconds: bigint; nanos: number } | undefined }): number {
  return Number(lease.validFor?.seconds ?? 0n) * 1_000 + (lease.validFor?.nanos ?? 0) / 1e6;
}
