// A Sentinel that answers what a test tells it to, when the test lets it. Tests of the rules about which Sentinel to
// believe need Sentinels that disagree, fall silent, or answer late at a chosen moment. It speaks as much of the
// protocol as a watcher asks for, and knows nothing of failovers; real Sentinels are in redis/sentinel-cluster.ts.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { HostPort } from '../../src/domain/host-port.ts';
import { freePort } from './ports.ts';
import { bulk, list, readCommand } from './redis/resp.ts';

/** What it says about the primary. */
export interface SentinelClaim {
  readonly primary: HostPort;
  readonly configEpoch: number;
  /** `num-other-sentinels`: how many other Sentinels it knows. */
  readonly otherSentinels: number;
}

export interface FakeSentinelOptions extends SentinelClaim {
  readonly masterName: string;
  /** What SENTINEL MYID answers; an id of its own when not given. */
  readonly id?: string;
}

interface HeldReply {
  readonly socket: Socket;
  readonly reply: string;
  readonly isClaim: boolean;
}

const DOWN_AFTER_MS = 1_000;

export class FakeSentinel {
  readonly id: string;
  readonly address: HostPort;
  readonly #masterName: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #subscribers = new Set<Socket>();
  #claim: SentinelClaim;
  #held: HeldReply[] = [];
  #holds = false;
  #questions = 0;

  private constructor(options: FakeSentinelOptions, address: HostPort) {
    this.#claim = options;
    this.#masterName = options.masterName;
    this.id = options.id ?? randomBytes(20).toString('hex');
    this.address = address;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  static async start(options: FakeSentinelOptions): Promise<FakeSentinel> {
    const address = { host: '127.0.0.1', port: await freePort() };
    const sentinel = new FakeSentinel(options, address);
    sentinel.#server.listen({ ...address, exclusive: true });
    await once(sentinel.#server, 'listening');
    return sentinel;
  }

  /** How often it was asked for the primary. */
  get questions(): number {
    return this.#questions;
  }

  /** How many replies of any kind `hold()` keeps back. */
  get heldReplies(): number {
    return this.#held.length;
  }

  /** How many questions for the primary were asked since `hold()` and still wait for their answer. */
  get heldQuestions(): number {
    return this.#held.filter(({ isClaim, socket }) => isClaim && !socket.destroyed).length;
  }

  /** From now on it answers this. Replies that are held already keep what they said. */
  say(claim: Partial<SentinelClaim>): void {
    this.#claim = { ...this.#claim, ...claim };
  }

  /** Accepts connections and commands, as a frozen process does, and keeps every reply back. */
  hold(): void {
    this.#holds = true;
  }

  /** Sends the replies that are kept back; further ones are kept back again. */
  sendHeld(): void {
    const held = this.#held;
    this.#held = [];
    for (const { socket, reply } of held) socket.write(reply);
  }

  /** Ends `hold()`. */
  release(): void {
    this.#holds = false;
    this.sendHeld();
  }

  /** Announces to its listeners that another node is primary. */
  announceSwitch(): void {
    const { primary } = this.#claim;
    const text = `${this.#masterName} 127.0.0.1 1 ${primary.host} ${primary.port}`;
    for (const socket of this.#subscribers) socket.write(list(['message', '+switch-master', text]));
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    let unread = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      unread = Buffer.concat([unread, chunk]);
      for (let next = readCommand(unread); next; next = readCommand(unread)) {
        unread = unread.subarray(next.length);
        this.#answer(socket, next.command);
      }
    });
    socket.on('error', () => undefined); // a reset shows as a close, too
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#subscribers.delete(socket);
    });
  }

  #answer(socket: Socket, [name = '', subcommand = '', argument = '']: readonly string[]): void {
    const command = name.toUpperCase();
    const isClaim = command === 'SENTINEL' && subcommand.toUpperCase() === 'MASTER';
    if (isClaim) this.#questions++;
    const reply = isClaim ? this.#claimFor(argument) : this.#otherReply(socket, command, subcommand);
    if (this.#holds) this.#held.push({ socket, reply, isClaim });
    else socket.write(reply);
  }

  #otherReply(socket: Socket, command: string, argument: string): string {
    switch (command) {
      case 'AUTH':
      case 'CLIENT':
      case 'SELECT':
        return '+OK\r\n';
      case 'SUBSCRIBE':
        this.#subscribers.add(socket);
        return `*3\r\n${bulk('subscribe')}${bulk(argument)}:1\r\n`;
      case 'SENTINEL':
        if (argument.toUpperCase() === 'MYID') return bulk(this.id);
    }
    return `-ERR unknown command '${command} ${argument}'\r\n`;
  }

  #claimFor(masterName: string): string {
    if (masterName !== this.#masterName) return '-ERR No such master with that name\r\n';
    const { primary, configEpoch, otherSentinels } = this.#claim;
    return list([
      ...['name', masterName],
      ...['ip', primary.host],
      ...['port', String(primary.port)],
      ...['flags', 'master'],
      ...['down-after-milliseconds', String(DOWN_AFTER_MS)],
      ...['config-epoch', String(configEpoch)],
      ...['num-other-sentinels', String(otherSentinels)],
    ]);
  }
}
