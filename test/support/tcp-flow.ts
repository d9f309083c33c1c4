// One direction of a proxied TCP connection: bytes, the end and the close, in order, as long as nothing holds them.
// Owns the queue between the two sockets; the proxy decides when to hold and how long to delay.
import type { Socket } from 'node:net';

// Enough to see that a reply is there; beyond it the sender notices the stall as a full socket buffer, as it would
// behind a real partition.
const QUEUE_LIMIT_BYTES = 1024 * 1024;

interface FlowOptions {
  readonly source: Socket;
  readonly sink: Socket;
  readonly isHeld: () => boolean;
  readonly delayMs: () => number;
}

interface Item {
  readonly what: Buffer | 'end' | 'close';
  readonly dueAtMs: number;
}

export class Flow {
  readonly #options: FlowOptions;
  readonly #queue: Item[] = [];
  #queuedBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: FlowOptions) {
    this.#options = options;
    const { source, sink } = options;
    source.on('data', (chunk: Buffer) => this.#enqueue(chunk));
    source.on('end', () => this.#enqueue('end'));
    // A reset shows as an error and then as a close; the other side hears only of the close.
    source.on('error', () => undefined);
    source.on('close', () => this.#enqueue('close'));
    sink.on('drain', () => this.pump());
  }

  get heldBytes(): number {
    return this.#queuedBytes;
  }

  /** Passes on what is not held. Called when something arrives, when a rule changes and when the sink has room. */
  pump(): void {
    clearTimeout(this.#timer);
    const { source, sink, isHeld } = this.#options;
    for (let head = this.#queue[0]; head !== undefined && !this.#stopped; head = this.#queue[0]) {
      if (isHeld() || sink.writableNeedDrain) break;
      const waitMs = head.dueAtMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), Math.ceil(waitMs));
        break;
      }
      this.#queue.shift();
      this.#forward(head.what);
    }
    if (this.#queuedBytes > QUEUE_LIMIT_BYTES) source.pause();
    else if (source.isPaused()) source.resume();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#queue.length = 0;
    this.#queuedBytes = 0;
  }

  #enqueue(what: Item['what']): void {
    if (this.#stopped) return;
    this.#queue.push({ what, dueAtMs: performance.now() + this.#options.delayMs() });
    if (what instanceof Buffer) this.#queuedBytes += what.length;
    this.pump();
  }

  #forward(what: Item['what']): void {
    const { sink } = this.#options;
    if (what === 'end') {
      if (sink.writable) sink.end();
    } else if (what === 'close') {
      sink.destroySoon();
    } else {
      this.#queuedBytes -= what.length;
      if (sink.writable) sink.write(what);
    }
  }
}
