// The guarded resource: what a lease protects, as a server on a unix socket. It compares fencing tokens, as a database
// can, and keeps a log of every write in the order in which it saw them. It knows nothing of leases.
//
// Each write is a line of JSON, and so is each answer, in the same order.

import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { nowMs, type Written } from '../history.ts';

export interface GuardedWrite {
  readonly resource: string;
  readonly token: string;
  readonly by: string;
  /** When the writer looked whether it still held, and until when it believed so then. */
  readonly lookedAtMs: number;
  readonly believedUntilMs: number;
}

export interface GuardAnswer {
  readonly accepted: boolean;
}

export interface Guard {
  /** The path of its socket. */
  readonly path: string;
  stop(): Promise<void>;
}

/** Returns when writers can connect. Appends its log to `historyFile`. */
export async function startGuard({ historyFile }: { historyFile: string }): Promise<Guard> {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-guard-'));
  const path = join(folder, 'guard.sock');
  const log = openSync(historyFile, 'a');
  const highest = new Map<string, bigint>();
  const sockets = new Set<Socket>();

  const decide = ({ resource, token, by, lookedAtMs, believedUntilMs }: GuardedWrite): GuardAnswer => {
    const before = highest.get(resource) ?? 0n;
    const accepted = BigInt(token) >= before;
    if (accepted) highest.set(resource, BigInt(token));
    const line: Written = {
      kind: 'written',
      atMs: nowMs(),
      resource,
      token,
      by,
      lookedAtMs,
      believedUntilMs,
      accepted,
      highest: String(before),
    };
    writeSync(log, `${JSON.stringify(line)}\n`);
    return { accepted };
  };

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    const lines = createInterface(socket);
    lines.on('line', (line) => {
      // Only writers of this suite know the path.
      const answer = decide(JSON.parse(line) as GuardedWrite);
      if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
    });
    // The socket of a writer that was killed. Both sides see the error of the socket.
    for (const each of [socket, lines]) each.on('error', () => socket.destroy());
  });
  await listening(server, path);
  return {
    path,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      closeSync(log);
      rmSync(folder, { recursive: true });
    },
  };
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
}
