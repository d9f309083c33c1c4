// A stream of a server as a test reads it: all events so far, the next event of a kind, and how the stream ended.

import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { CallError } from '../../src/client/core/call-error.ts';
import { eventually } from './eventually.ts';

/** A response of a stream that carries one event. */
interface Told {
  readonly event?: { readonly $case: string; readonly value: unknown } | undefined;
  /** Set in streams about several leases. */
  readonly leaseId?: string;
}
type Event<R extends Told> = NonNullable<R['event']>;
type Kind<R extends Told> = Event<R>['$case'];
type Value<R extends Told, K> = Extract<Event<R>, { $case: K }>['value'];

/** Which event of a kind, and how long a test waits for it. */
interface Which {
  readonly count?: number;
  readonly leaseId?: string | undefined;
  readonly withinMs?: number;
}

const WITHIN_MS = 20_000;

export class EventStream<R extends Told> {
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

  /** The events of this kind so far, of one lease if it is named. */
  all<K extends Kind<R>>(kind: K, leaseId?: string): Value<R, K>[] {
    return this.events
      .filter((told) => told.event?.$case === kind && (leaseId === undefined || told.leaseId === leaseId))
      .map((told) => told.event?.value as Value<R, K>); // of this kind, by the line above
  }

  /** Waits for the event number `count` of this kind. */
  event<K extends Kind<R>>(kind: K, { count = 1, leaseId, withinMs = WITHIN_MS }: Which = {}) {
    return eventually<Value<R, K> | false>(() => this.all(kind, leaseId)[count - 1] ?? false, {
      what: `event ${count} of ${kind}`,
      withinMs,
      everyMs: 5,
    }) as Promise<Value<R, K>>; // what is awaited is never false
  }

  /** Waits for the end, and returns "CODE-NUMBER REASON". */
  async ended(withinMs = WITHIN_MS): Promise<string> {
    const end = await eventually(() => this.#end ?? false, {
      what: 'the end of the stream',
      withinMs,
      everyMs: 5,
    });
    return end instanceof CallError ? `${end.code} ${end.reason}` : end;
  }

  /** What it ended with. */
  get error(): CallError | undefined {
    return this.#end instanceof CallError ? this.#end : undefined;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }
}
