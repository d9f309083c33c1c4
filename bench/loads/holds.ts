// Streams that hold a lease each, and nothing else: reads what the server sends, and when.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ClientReadableStream, credentials } from '@grpc/grpc-js';
import {
  HoldRequest,
  type HoldResponse,
  LockServiceClient,
} from '../../generated/leasehold/v1/lock_service.ts';
import type { Renewals } from '../load-order.ts';
import { Latencies } from './latencies.ts';
import { duration } from './promised.ts';

const STREAMS_PER_CONNECTION = 1_000;
/** So many wait for their grant at once. */
const OPENING = 100;

export class Holds {
  readonly #run = randomUUID().slice(0, 8);
  readonly #ttlMs: number;
  readonly #clients: readonly LockServiceClient[];
  readonly #streams: ClientReadableStream<HoldResponse>[] = [];
  #lag = new Latencies();
  #left: number[] = [];
  #renewals = 0;
  #lost = 0;
  #isOver = false;

  constructor(address: string, streams: number, ttlMs: number) {
    this.#ttlMs = ttlMs;
    this.#clients = Array.from(
      { length: Math.ceil(streams / STREAMS_PER_CONNECTION) },
      () =>
        new LockServiceClient(address, credentials.createInsecure(), {
          'grpc.enable_retries': 0,
          'grpc.use_local_subchannel_pool': 1,
        }),
    );
  }

  async open(streams: number): Promise<void> {
    let next = 0;
    const opener = async (): Promise<void> => {
      while (next < streams) await this.#open(next++);
    };
    await Promise.all(Array.from({ length: OPENING }, opener));
  }

  async watch(forMs: number): Promise<Renewals> {
    this.#lag = new Latencies();
    this.#left = [];
    this.#renewals = 0;
    const startedMs = performance.now();
    await sleep(forMs);
    const left = this.#left.toSorted((a, b) => a - b);
    return {
      renewals: this.#renewals,
      lost: this.#lost,
      tookMs: performance.now() - startedMs,
      leftP1: left[Math.floor(left.length / 100)] ?? Number.NaN,
      lagP50Ms: this.#lag.percentile(50),
      lagP99Ms: this.#lag.percentile(99),
    };
  }

  close(): void {
    this.#isOver = true;
    for (const stream of this.#streams) stream.cancel();
    for (const client of this.#clients) client.close();
  }

  #open(index: number): Promise<void> {
    const client = this.#clients[index % this.#clients.length];
    if (!client) throw new Error('no connections');
    const spec = {
      resource: `${this.#run}/${index}`,
      leaseId: randomUUID(),
      owner: 'bench',
      ttl: duration(this.#ttlMs),
    };
    const stream = client.hold(HoldRequest.fromPartial({ spec }));
    this.#streams.push(stream);
    return new Promise((resolve, reject) => {
      let lastMs = 0;
      stream.on('data', ({ event }: HoldResponse) => {
        const nowMs = performance.now();
        if (event?.$case === 'granted') resolve();
        if (event?.$case === 'lost') this.#lost++;
        if (event?.$case === 'renewed') this.#renewed(nowMs - lastMs);
        lastMs = nowMs;
      });
      stream.on('error', (error) => {
        if (!this.#isOver) reject(error);
      });
    });
  }

  #renewed(sinceLastMs: number): void {
    this.#renewals++;
    this.#lag.add(sinceLastMs - this.#ttlMs / 4);
    this.#left.push(1 - sinceLastMs / this.#ttlMs);
  }
}
