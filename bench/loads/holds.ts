// Streams that each hold a lease and do nothing else: records what the server sends, and when.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldRequest } from '../../generated/leasehold/v1/lock_service.ts';
import type { Renewals } from '../load-order.ts';
import { Latencies } from './latencies.ts';
import { duration } from './promised.ts';
import { fieldBehind, RawConnection } from './raw-streams.ts';

const HOLD = '/leasehold.v1.LockService/Hold';
/** The fields of HoldResponse: its resource and lease_id come before the event. */
const TEXTS = 2;
const EVENT = { granted: 4, renewed: 5, lost: 7 } as const;
const STREAMS_PER_CONNECTION = 1_000;
/** This many wait for their grant at once. */
const OPENING = 100;
const TRIES = 10;
const TRY_AGAIN_AFTER_MS = 500;

export class Holds {
  readonly #run = randomUUID().slice(0, 8);
  readonly #address: string;
  readonly #ttlMs: number;
  /** When each stream last had its lease granted or renewed; NaN once it has ended. */
  readonly #lastMs: Float64Array;
  readonly #connections: RawConnection[] = [];
  #lag = new Latencies();
  #left: number[] = [];
  #renewals = 0;
  #lost = 0;
  #ended = 0;

  constructor(address: string, streams: number, ttlMs: number) {
    this.#address = address;
    this.#ttlMs = ttlMs;
    this.#lastMs = new Float64Array(streams);
  }

  async open(streams: number): Promise<void> {
    while (this.#connections.length * STREAMS_PER_CONNECTION < streams) {
      this.#connections.push(await RawConnection.open(this.#address, HOLD));
    }
    let next = 0;
    const opener = async (): Promise<void> => {
      while (next < streams) await this.#openAgain(next++);
    };
    await Promise.all(Array.from({ length: OPENING }, opener));
  }

  async watch(forMs: number): Promise<Renewals> {
    this.#lag = new Latencies();
    this.#left = [];
    this.#renewals = 0;
    const startedMs = performance.now();
    const cpuBefore = process.cpuUsage();
    await sleep(forMs);
    const { user, system } = process.cpuUsage(cpuBefore);
    this.#addOverdue();
    const left = this.#left.toSorted((a, b) => a - b);
    const { p50Ms, p99Ms, p999Ms } = this.#lag.percentiles();
    return {
      renewals: this.#renewals,
      lost: this.#lost + this.#ended,
      tookMs: performance.now() - startedMs,
      leftP1: left[Math.floor(left.length / 100)] ?? Number.NaN,
      lagP50Ms: p50Ms,
      lagP99Ms: p99Ms,
      ...(p999Ms === undefined ? {} : { lagP999Ms: p999Ms }),
      lagMostMs: this.#lag.most(),
      generatorCpuUs: user + system,
    };
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  /** What hasn't been renewed by now is at least so late. A server that renews nothing would look good otherwise. */
  #addOverdue(): void {
    const nowMs = performance.now();
    for (const lastMs of this.#lastMs) {
      const lateMs = nowMs - lastMs - this.#ttlMs / 4;
      if (lateMs > 0) this.#lag.add(lateMs);
    }
  }

  /** On a busy machine, a call may not be answered in time. */
  async #openAgain(index: number): Promise<void> {
    for (let failed = 0; ; ) {
      try {
        await this.#open(index);
        return;
      } catch (error) {
        if (++failed === TRIES) throw error;
        await sleep(TRY_AGAIN_AFTER_MS);
      }
    }
  }

  #open(index: number): Promise<void> {
    const connection = this.#connections[Math.floor(index / STREAMS_PER_CONNECTION)];
    if (!connection) throw new Error('no connection');
    const spec = {
      resource: `${this.#run}/${index}`,
      leaseId: randomUUID(),
      owner: 'bench',
      ttl: duration(this.#ttlMs),
    };
    let hasLease = false;
    let isLost = false;
    return new Promise((resolve, reject) => {
      connection.call(HoldRequest.encode(HoldRequest.fromPartial({ spec })).finish(), {
        message: (bytes) => {
          const nowMs = performance.now();
          const event = fieldBehind(TEXTS, bytes);
          if (event === EVENT.granted) {
            hasLease = true;
            this.#lastMs[index] = nowMs;
            resolve();
          } else if (event === EVENT.renewed) {
            this.#renewed(nowMs - (this.#lastMs[index] ?? nowMs));
            this.#lastMs[index] = nowMs;
          } else if (event === EVENT.lost) {
            isLost = true;
            this.#lost++;
          }
        },
        ended: () => {
          // After a loss the server ends the stream; it counts once.
          if (hasLease && !isLost) this.#ended++;
          this.#lastMs[index] = Number.NaN;
          reject(new Error('a stream has ended before it had its lease'));
        },
      });
    });
  }

  #renewed(sinceLastMs: number): void {
    this.#renewals++;
    this.#lag.add(sinceLastMs - this.#ttlMs / 4);
    this.#left.push(1 - sinceLastMs / this.#ttlMs);
  }
}
