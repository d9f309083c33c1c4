// A TCP proxy that can misbehave like a network: stall, delay, lose replies, reset, refuse. Owns the listening port
// and its connections; it knows nothing of the protocol that flows through it, nor of who is cut off from whom.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './ports.ts';
import { Flow } from './tcp-flow.ts';

export interface TcpProxyOptions {
  readonly target: { readonly host: string; readonly port: number };
  /** Address to listen on; 127.0.0.1 when not given. */
  readonly host?: string;
}

type PeerFilter = (peerAddress: string) => boolean;
type Delays = (peerAddress: string, direction: 'requests' | 'replies') => number;

interface Connection {
  readonly peerAddress: string;
  readonly client: Socket;
  readonly upstream: Socket;
  readonly requests: Flow;
  readonly replies: Flow;
}

export class TcpProxy {
  readonly host: string;
  readonly port: number;
  readonly #target: TcpProxyOptions['target'];
  readonly #connections = new Set<Connection>();
  readonly #server: Server;
  #isCut: PeerFilter | undefined;
  #holdsReplies: PeerFilter | undefined;
  #holdsRequests: PeerFilter | undefined;
  #delayMs: Delays = () => 0;

  private constructor(host: string, port: number, target: TcpProxyOptions['target']) {
    this.host = host;
    this.port = port;
    this.#target = target;
    // Half-open, so that the end of one side is passed on as an end, and the other side can still answer.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
  }

  static async start({ target, host = '127.0.0.1' }: TcpProxyOptions): Promise<TcpProxy> {
    const proxy = new TcpProxy(host, await freePort(host), target);
    await proxy.accept();
    return proxy;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Bytes that the target has answered and that a client has not received yet. */
  get heldReplyBytes(): number {
    return sum([...this.#connections].map(({ replies }) => replies.heldBytes));
  }

  /** Bytes that clients have sent and that the target has not received yet. */
  get heldRequestBytes(): number {
    return sum([...this.#connections].map(({ requests }) => requests.heldBytes));
  }

  /** Every chunk, in both directions, is passed on this much later. The order is kept. */
  set delayMs(delayMs: number) {
    this.delayEach(() => delayMs);
  }

  /** As above, with a delay for each peer and direction. */
  delayEach(delayMs: Delays): void {
    this.#delayMs = delayMs;
  }

  delayOf(...of: Parameters<Delays>): number {
    return this.#delayMs(...of);
  }

  /**
   * A partition: connections of the matching peers (all, when not given) stall. Nothing is closed, and bytes and ends
   * are held in both directions. A new connection is accepted and then hears nothing. Replaces an earlier cut.
   */
  cut(matches: PeerFilter = () => true): void {
    this.#isCut = matches;
    this.#pumpAll();
  }

  /** What clients send reaches the target; what the target answers is held. Then `heal()`, or `drop()` to lose it. */
  holdReplies(matches: PeerFilter = () => true): void {
    this.#holdsReplies = matches;
    this.#pumpAll();
  }

  /** The reverse: what the target answers still arrives, and it hears nothing more. */
  holdRequests(matches: PeerFilter = () => true): void {
    this.#holdsRequests = matches;
    this.#pumpAll();
  }

  /** Ends `cut`, `holdReplies` and `holdRequests`: everything held flows on, in order. */
  heal(): void {
    this.#isCut = undefined;
    this.#holdsReplies = undefined;
    this.#holdsRequests = undefined;
    this.#pumpAll();
  }

  /**
   * Destroys the connections of the matching peers that are open now, with what they hold. New connections keep the
   * present rules.
   */
  drop(matches: PeerFilter = () => true): void {
    for (const connection of [...this.#connections]) {
      if (matches(connection.peerAddress)) this.#destroy(connection);
    }
  }

  /** From now on new connections are refused by the kernel. Open ones go on. */
  refuse(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#server.listening) return resolve();
      // The callback of close() would wait for open connections; the port itself is closed when the call returns.
      this.#server.close();
      resolve();
    });
  }

  /** Listens again, on the same port, after `refuse()`. */
  accept(): Promise<void> {
    if (this.#server.listening) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: this.host, port: this.port, exclusive: true }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    await this.refuse();
    this.drop();
  }

  #accept(client: Socket): void {
    // A client that had gone before we could look has no address, so there is nobody to forward for.
    const peerAddress = client.remoteAddress;
    if (peerAddress === undefined) {
      client.destroy();
      return;
    }
    const upstream = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const isCut = () => this.#isCut?.(peerAddress) ?? false;
    const isReplyHeld = () => isCut() || (this.#holdsReplies?.(peerAddress) ?? false);
    const isRequestHeld = () => isCut() || (this.#holdsRequests?.(peerAddress) ?? false);
    const connection: Connection = {
      peerAddress,
      client,
      upstream,
      requests: new Flow({
        source: client,
        sink: upstream,
        isHeld: isRequestHeld,
        delayMs: () => this.delayOf(peerAddress, 'requests'),
      }),
      replies: new Flow({
        source: upstream,
        sink: client,
        isHeld: isReplyHeld,
        delayMs: () => this.delayOf(peerAddress, 'replies'),
      }),
    };
    this.#connections.add(connection);
    const forget = () => {
      if (client.closed && upstream.closed) this.#destroy(connection);
    };
    client.once('close', forget);
    upstream.once('close', forget);
  }

  #pumpAll(): void {
    for (const { requests, replies } of this.#connections) {
      requests.pump();
      replies.pump();
    }
  }

  #destroy(connection: Connection): void {
    this.#connections.delete(connection);
    connection.requests.stop();
    connection.replies.stop();
    connection.client.destroy();
    connection.upstream.destroy();
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
