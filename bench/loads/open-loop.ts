// Acquire and Release of new locks at a rate that doesn't depend on the answers, as many independent clients make it.
// Each call has a deadline, and is cancelled when that passes, as a client of gRPC does. A latency runs from when the
// cycle was due, so that waiting to be sent counts. Owns the deadlines and the connections; arrivals.ts has the
// schedule.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { status as grpcStatus } from '@grpc/grpc-js';
import {
  AcquireRequest,
  LockServiceService,
  ReleaseRequest,
} from '../../generated/leasehold/v1/lock_service.ts';
import { Arrivals } from './arrivals.ts';
import { CallFrames } from './call-frames.ts';
import { FrameClient } from './frame-client.ts';
import { Latencies } from './latencies.ts';
import { duration } from './promised.ts';

export interface OpenLoopOrder {
  readonly kind: 'open-loop';
  readonly address: string;
  readonly connections: number;
  readonly cyclesPerSecond: number;
  readonly forMs: number;
  /** Of each call: of an Acquire from when its cycle is due, of a Release from when it can be sent. */
  readonly deadlineMs: number;
}

export interface OpenLoop {
  /** Cycles that were begun. */
  readonly offered: number;
  /** Cycles whose calls both succeeded before the last cycle was due. */
  readonly completed: number;
  readonly tookMs: number;
  /** NaN if none succeeded. */
  readonly acquireP50Ms: number;
  readonly acquireP99Ms: number;
  /** Cycles that ended otherwise, by the name of the status of the call that failed. */
  readonly failed: Readonly<Record<string, number>>;
  /** Of those with DEADLINE_EXCEEDED: Acquires for which the server had no stream until then. */
  readonly unsent: number;
  /** Connections that the server ended. */
  readonly closed: number;
  /** How late the load generator itself was with what was due. */
  readonly lateP99Ms: number;
  readonly generatorCpuUs: number;
}

interface Cycle {
  readonly resource: string;
  readonly leaseId: string;
  readonly dueMs: number;
}

type Kind = 'acquire' | 'release';

interface Call {
  readonly kind: Kind;
  readonly cycle: Cycle;
  readonly deadlineMs: number;
  isOver: boolean;
  /** Where it was sent; undefined while it waits. */
  sent: { readonly client: FrameClient; readonly stream: number } | undefined;
}

const TICK_MS = 1;
const RECONNECT_AFTER_MS = 100;
/** What was granted after its caller had given up stays locked this long. */
const TTL_MS = 5_000;
const EXAMPLE = { resource: `bench-${randomUUID()}`, leaseId: randomUUID() };

export async function openLoop(order: OpenLoopOrder): Promise<OpenLoop> {
  const clients = await Promise.all(
    Array.from({ length: order.connections }, () => FrameClient.connect(order.address)),
  );
  return new OpenCycles(order, clients).run();
}

class OpenCycles {
  readonly #order: OpenLoopOrder;
  readonly #clients: FrameClient[];
  readonly #frames: Readonly<Record<Kind, PatchedFrames>>;
  /** Those that wait for a stream. A Release goes first: it is what others may wait for. */
  readonly #waiting: Readonly<Record<Kind, Queue<Call>>> = { acquire: new Queue(), release: new Queue() };
  /** All of a kind have the same time, so the first of its queue is the first to pass its deadline. */
  readonly #deadlines: Readonly<Record<Kind, Queue<Call>>> = { acquire: new Queue(), release: new Queue() };
  readonly #latencies = new Latencies();
  readonly #late = new Latencies();
  readonly #failed: Record<string, number> = {};
  readonly #startMs = performance.now();
  #next = 0;
  #under = 0;
  #completed = 0;
  #unsent = 0;
  #closed = 0;

  constructor(order: OpenLoopOrder, clients: FrameClient[]) {
    this.#order = order;
    this.#clients = clients;
    const { resource, leaseId } = EXAMPLE;
    const spec = { resource, leaseId, owner: 'bench', ttl: duration(TTL_MS) };
    const { acquire, release } = LockServiceService;
    this.#frames = {
      acquire: new PatchedFrames(
        order.address,
        acquire.path,
        AcquireRequest.encode(AcquireRequest.fromPartial({ spec })).finish(),
      ),
      release: new PatchedFrames(
        order.address,
        release.path,
        ReleaseRequest.encode({ resource, leaseId }).finish(),
      ),
    };
  }

  async run(): Promise<OpenLoop> {
    const { cyclesPerSecond, forMs, deadlineMs } = this.#order;
    const arrivals = new Arrivals(cyclesPerSecond, forMs);
    const cpuBefore = process.cpuUsage();
    let begun = 0;
    while (begun < arrivals.count || this.#under > 0) {
      const elapsedMs = performance.now() - this.#startMs;
      this.#expire();
      this.#sendWaiting();
      for (const due = arrivals.dueBy(elapsedMs); begun < due; begun++) {
        const dueMs = this.#startMs + arrivals.dueMs(begun);
        this.#late.add(this.#startMs + elapsedMs - dueMs);
        const cycle = { resource: `bench-${randomUUID()}`, leaseId: randomUUID(), dueMs };
        this.#under++;
        this.#start('acquire', cycle, dueMs + deadlineMs);
      }
      await sleep(TICK_MS);
    }
    const { user, system } = process.cpuUsage(cpuBefore);
    for (const client of this.#clients) client.close();
    return {
      offered: arrivals.count,
      completed: this.#completed,
      tookMs: forMs,
      acquireP50Ms: this.#latencies.percentile(50),
      acquireP99Ms: this.#latencies.percentile(99),
      failed: this.#failed,
      unsent: this.#unsent,
      closed: this.#closed,
      lateP99Ms: this.#late.percentile(99),
      generatorCpuUs: user + system,
    };
  }

  #start(kind: Kind, cycle: Cycle, deadlineMs: number): void {
    const call: Call = { kind, cycle, deadlineMs, isOver: false, sent: undefined };
    this.#deadlines[kind].push(call);
    if (this.#waiting[kind].size > 0 || !this.#send(call)) this.#waiting[kind].push(call);
  }

  #sendWaiting(): void {
    for (const kind of ['release', 'acquire'] as const) {
      const waiting = this.#waiting[kind];
      for (let call = waiting.first; call && (call.isOver || this.#send(call)); call = waiting.first) {
        waiting.shift();
      }
    }
  }

  /** Returns false if no connection has room for it. */
  #send(call: Call): boolean {
    const frames = this.#frames[call.kind];
    const client = this.#clientFor(frames.frames);
    if (!client) return false;
    const patched = frames.of(call.cycle, call.deadlineMs - performance.now());
    const stream = client.begin(patched, (status) => this.#ended(call, status));
    call.sent = { client, stream };
    return true;
  }

  /** They take turns. */
  #clientFor(frames: CallFrames): FrameClient | undefined {
    for (let tries = 0; tries < this.#clients.length; tries++) {
      const client = this.#clients[this.#next++ % this.#clients.length];
      if (client?.hasRoomFor(frames)) return client;
      if (client?.isClosed) this.#replace(client);
    }
    return undefined;
  }

  #replace(client: FrameClient): void {
    const index = this.#clients.indexOf(client);
    this.#clients.splice(index, 1);
    this.#closed++;
    const again = async (): Promise<void> => {
      await sleep(RECONNECT_AFTER_MS);
      this.#clients.push(await FrameClient.connect(this.#order.address));
    };
    again().catch(() => undefined); // the others go on without it
  }

  #expire(): void {
    const nowMs = performance.now();
    for (const kind of ['release', 'acquire'] as const) {
      const queue = this.#deadlines[kind];
      for (let call = queue.first; call && (call.isOver || call.deadlineMs <= nowMs); call = queue.first) {
        queue.shift();
        if (call.isOver) continue;
        if (call.sent) call.sent.client.cancel(call.sent.stream);
        else if (kind === 'acquire') this.#unsent++;
        this.#fail(call, 'DEADLINE_EXCEEDED');
      }
    }
  }

  #ended(call: Call, status: string): void {
    if (call.isOver) return;
    if (status === 'refused') {
      // The server hasn't looked at it, so it is sent again, as gRPC does.
      call.sent = undefined;
      this.#waiting[call.kind].push(call);
      return;
    }
    if (status !== '0') {
      this.#fail(call, nameOf(status));
      return;
    }
    call.isOver = true;
    const nowMs = performance.now();
    const { cycle } = call;
    if (call.kind === 'acquire') {
      this.#latencies.add(nowMs - cycle.dueMs);
      this.#start('release', cycle, nowMs + this.#order.deadlineMs);
      return;
    }
    this.#under--;
    if (nowMs <= this.#startMs + this.#order.forMs) this.#completed++;
  }

  #fail(call: Call, name: string): void {
    call.isOver = true;
    this.#under--;
    this.#failed[name] = (this.#failed[name] ?? 0) + 1;
  }
}

/** One call for all cycles: its ids are replaced before each is sent. */
class PatchedFrames {
  readonly frames: CallFrames;
  readonly #inResource: number;
  readonly #inLeaseId: number;

  constructor(authority: string, path: string, message: Uint8Array) {
    this.frames = new CallFrames(authority, path, message, true);
    this.#inResource = this.frames.placeOf(EXAMPLE.resource);
    this.#inLeaseId = this.frames.placeOf(EXAMPLE.leaseId);
  }

  of({ resource, leaseId }: Cycle, leftMs: number): CallFrames {
    this.frames.patch(this.#inResource, resource);
    this.frames.patch(this.#inLeaseId, leaseId);
    this.frames.setTimeout(leftMs);
    return this.frames;
  }
}

/** First in, first out, without moving the others. */
class Queue<Item> {
  #items: Item[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  get first(): Item | undefined {
    return this.#items[this.#head];
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): void {
    this.#head++;
    if (this.#head < 1_024 || this.#head < this.#items.length / 2) return;
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }
}

/** A call whose connection is gone is UNAVAILABLE to a client of gRPC. */
function nameOf(status: string): string {
  if (status === 'closed') return 'UNAVAILABLE';
  return grpcStatus[Number(status)] ?? `status ${status}`;
}
