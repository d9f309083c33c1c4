// A Redis that answers what a test tells it to: for versions that are not installed here, and for answers that no real
// one gives on demand. It keeps no data; scripted-replica.ts is the other side of a replication.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { HostPort } from '../../../src/domain/host-port.ts';
import { freePort } from '../ports.ts';
import { bulk, readCommand } from './resp.ts';

/** The reply to a command as bytes of the protocol; undefined: the command is unknown. */
type Answer = (words: readonly string[]) => string | undefined;

export class ScriptedServer {
  readonly listens: HostPort;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(listens: HostPort, answer: Answer) {
    this.listens = listens;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket, answer));
  }

  static async start(answer: Answer): Promise<ScriptedServer> {
    const listens = { host: '127.0.0.1', port: await freePort() };
    const server = new ScriptedServer(listens, answer);
    server.#server.listen({ ...listens, exclusive: true });
    await once(server.#server, 'listening');
    return server;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket, answer: Answer): void {
    this.#sockets.add(socket);
    let unread = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      unread = Buffer.concat([unread, chunk]);
      for (let next = readCommand(unread); next; next = readCommand(unread)) {
        unread = unread.subarray(next.length);
        socket.write(answer(next.command) ?? `-ERR unknown command '${next.command[0]}'\r\n`);
      }
    });
    socket.on('error', () => undefined); // a reset shows as a close, too
    socket.on('close', () => this.#sockets.delete(socket));
  }
}

/** A primary of this version, as far as it is asked. Before 7.0, INFO takes one section at most. */
export function answersOfVersion(version: string): Answer {
  return ([name = '', ...rest]) => {
    switch (name.toUpperCase()) {
      case 'CLIENT':
      case 'SELECT':
        return '+OK\r\n';
      case 'INFO':
        if (rest.length > 1) return '-ERR syntax error\r\n';
        return bulk(
          `# Server\r\nredis_version:${version}\r\nredis_mode:standalone\r\n# Persistence\r\nloading:0\r\n` +
            `# Replication\r\nrole:master\r\nmaster_replid:${'a'.repeat(40)}\r\nrepl_backlog_active:0\r\n`,
        );
    }
    return undefined;
  };
}
