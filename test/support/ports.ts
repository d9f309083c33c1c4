// Finds free TCP ports on loopback. Owns the choice of the range; the caller binds the port and keeps it.
import { connect, createServer } from 'node:net';
import { threadId } from 'node:worker_threads';
import type { HostPort } from '../../src/domain/host-port.ts';

// The range lies below the one from which Linux and macOS take the ports of outgoing connections. Otherwise a server
// that is killed and started again on the same port would now and then find that some client's connection has taken it,
// and a client that dials a dead port of that range could even end up connected to itself.
const FIRST_PORT = 20_000;
const SLOTS = 120;
const PORTS_PER_SLOT = 100;
const RANGE = SLOTS * PORTS_PER_SLOT;

// Test processes run side by side, and there is a gap between probing a port and binding it. Each process walks from a
// slot of its own, so that no two try the same port at the same moment.
let nextOffset = ((process.pid + threadId * 61) % SLOTS) * PORTS_PER_SLOT;

/** A port that nobody listens on at `host` now, and that this process was not given before. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let tries = 0; tries < RANGE; tries += 1) {
    const port = FIRST_PORT + nextOffset;
    nextOffset = (nextOffset + 1) % RANGE;
    if (await canListen(host, port)) return port;
  }
  throw new Error(`no free port on ${host} between ${FIRST_PORT} and ${FIRST_PORT + RANGE - 1}`);
}

export async function freePorts(count: number, host = '127.0.0.1'): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort(host));
  return ports;
}

function canListen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/** Whether somebody accepts connections there. */
export function canConnect(address: HostPort): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
