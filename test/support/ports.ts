// Finds free TCP ports on loopback. Owns the choice of the range; the caller binds the port and keeps it.
import { connect, createServer, type Server } from 'node:net';
import { threadId } from 'node:worker_threads';
import type { HostPort } from '../../src/domain/host-port.ts';

// The range lies below the one from which Linux and macOS take the ports of outgoing connections. Otherwise a server
// that is killed and started again on the same port would now and then find that some client's connection has taken it,
// and a client that dials a dead port of that range could even end up connected to itself.
const FIRST_PORT = 20_000;
const SLOTS = 120;
const PORTS_PER_SLOT = 100;

// Test processes run side by side, and a server that a test has killed must find its port free when it starts again. So
// each process has slots of its own: it listens on the first port of a slot for as long as it lives, and takes only the
// others. Where it begins to look spreads the processes, so that few look at the same slot.
const guards: Server[] = [];
let slot = (process.pid + threadId * 61) % SLOTS;
let used = PORTS_PER_SLOT;
let claiming: Promise<void> | undefined;

/** A port that nobody listens on at `host` now, and that no other process or earlier call was given. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    while (used >= PORTS_PER_SLOT) {
      claiming ??= claimSlot().finally(() => {
        claiming = undefined;
      });
      await claiming;
    }
    const port = FIRST_PORT + slot * PORTS_PER_SLOT + used++;
    if (await canListen(host, port)) return port;
  }
}

async function claimSlot(): Promise<void> {
  for (let tries = 0; tries < SLOTS; tries++) {
    slot = (slot + 1) % SLOTS;
    const guard = await listening('127.0.0.1', FIRST_PORT + slot * PORTS_PER_SLOT);
    if (!guard) continue;
    guard.unref();
    guards.push(guard);
    used = 1;
    return;
  }
  throw new Error(`no free ports between ${FIRST_PORT} and ${FIRST_PORT + SLOTS * PORTS_PER_SLOT - 1}`);
}

export async function freePorts(count: number, host = '127.0.0.1'): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort(host));
  return ports;
}

async function canListen(host: string, port: number): Promise<boolean> {
  const probe = await listening(host, port);
  if (!probe) return false;
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  return true;
}

function listening(host: string, port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ host, port, exclusive: true }, () => resolve(server));
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
