// Callers that take and release leases of one mode, one call after the other: all shared leases and permits are of one
// resource, each exclusive lease is of its own. Other holders stay, so that the resource has many.
import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import type { LeaseSpec } from '../../generated/leasehold/v1/lease.ts';
import { AcquireRequest, LockServiceClient } from '../../generated/leasehold/v1/lock_service.ts';
import { Latencies, type Percentiles } from './latencies.ts';
import { duration, promised } from './promised.ts';

export type Mode = 'exclusive' | 'shared' | 'permits';

export type ModesOrder =
  | {
      readonly kind: 'modes';
      readonly address: string;
      readonly mode: Mode;
      readonly callers: number;
      readonly forMs: number;
    }
  /** Makes this many holders, which stay for the TTL; earlier ones are kept. */
  | { readonly kind: 'join'; readonly address: string; readonly mode: Mode; readonly holders: number }
  | { readonly kind: 'leave' };

export interface ModesSeen {
  /** Pairs of Acquire and Release, both answered. */
  readonly cycles: number;
  readonly tookMs: number;
  readonly acquire: Percentiles;
}

const TTL_MS = 30_000;
const LIMIT = 1_000_000;
const AT_ONCE = 32;

export async function modes({
  address,
  mode,
  callers,
  forMs,
}: ModesOrder & { kind: 'modes' }): Promise<ModesSeen> {
  const client = new LockServiceClient(address, credentials.createInsecure(), { 'grpc.enable_retries': 0 });
  const acquires = new Latencies();
  const startedMs = performance.now();
  let cycles = 0;
  const caller = async (_: unknown, index: number): Promise<void> => {
    const resource = resourceOf(mode, index);
    while (performance.now() - startedMs < forMs) {
      const leaseId = randomUUID();
      await acquires.of(() => acquire(client, mode, resource, leaseId));
      await promised((done) => client.release({ resource, leaseId }, done));
      cycles++;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const tookMs = performance.now() - startedMs;
  client.close();
  return { cycles, tookMs, acquire: acquires.percentiles() };
}

export class Holders {
  readonly #client: LockServiceClient;
  readonly #mode: Mode;
  readonly #leaseIds: string[] = [];

  constructor(address: string, mode: Mode) {
    this.#client = new LockServiceClient(address, credentials.createInsecure());
    this.#mode = mode;
  }

  /** Can be called again before the TTL is over: repeating an Acquire extends its lease. */
  async hold(holders: number): Promise<void> {
    while (this.#leaseIds.length < holders) this.#leaseIds.push(randomUUID());
    const resource = resourceOf(this.#mode, 0);
    await this.#each((leaseId) => acquire(this.#client, this.#mode, resource, leaseId));
  }

  async release(): Promise<void> {
    const resource = resourceOf(this.#mode, 0);
    await this.#each((leaseId) => promised((done) => this.#client.release({ resource, leaseId }, done)));
    this.#client.close();
  }

  async #each(work: (leaseId: string) => Promise<unknown>): Promise<void> {
    const left = this.#leaseIds.values();
    const worker = async (): Promise<void> => {
      for (const leaseId of left) await work(leaseId);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }
}

function resourceOf(mode: Mode, caller: number): string {
  return mode === 'exclusive' ? `bench-${caller}` : `bench-${mode}`;
}

function acquire(client: LockServiceClient, mode: Mode, resource: string, leaseId: string): Promise<unknown> {
  const spec = { resource, leaseId, owner: 'bench', ttl: duration(TTL_MS), mode: modeOf(mode) };
  return promised((done) => client.acquire(AcquireRequest.fromPartial({ spec }), done));
}

function modeOf(mode: Mode): LeaseSpec['mode'] {
  if (mode === 'permits') return { $case: 'permits', value: { permits: 1, limit: LIMIT } };
  return mode === 'shared' ? { $case: 'shared', value: {} } : { $case: 'exclusive', value: {} };
}
