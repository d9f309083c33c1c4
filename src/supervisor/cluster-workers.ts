// Workers as processes of node:cluster, which lets them listen on one port.
//
// The supervisor's process listens and hands each connection to the next worker in turn (round robin). The other way,
// in which all workers accept from one socket, leaves the choice to the kernel: of 200 connections to four workers one
// got 3 and one 97, and with HTTP/2 a connection stays for long and carries all calls of a client. Handed over in turn,
// each got 47 to 55. It costs a message per connection, not per call. And as only the supervisor holds the listening
// socket, the port is free as soon as that process is gone, however it went and whatever its workers are doing.

import cluster from 'node:cluster';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Report } from './worker-messages.ts';
import type { StartWorker } from './worker-process.ts';

/** Beside this folder, as source or built. */
const PROGRAM = fileURLToPath(
  new URL(`../server/worker-entry${extname(import.meta.filename)}`, import.meta.url),
);

export const startClusterWorker: StartWorker = (number, { reported, ended }) => {
  cluster.schedulingPolicy = cluster.SCHED_RR;
  // The number is for people who look at the list of processes; what it serves by, it is told.
  cluster.setupPrimary({ exec: PROGRAM, args: [String(number)] });
  const worker = cluster.fork();
  // Reports don't change on their way: only our own program sends any.
  worker.on('message', (report: Report) => reported(report));
  // Its last report may still be on its way when the process is gone: it has ended when the channel has, too.
  worker.once('exit', (code: number | null, signal: string | null) => {
    const end = { code: code ?? undefined, signal: signal ?? undefined };
    if (worker.isConnected()) worker.once('disconnect', () => ended(end));
    else ended(end);
  });
  // A process that could not be started, or an order that came too late: its end is what counts.
  worker.on('error', () => {});
  return {
    pid: worker.process.pid,
    tell: (order) => {
      if (worker.isConnected()) worker.send(order, () => {});
    },
    kill: () => worker.process.kill('SIGKILL'),
  };
};

/** False where this process is itself a worker of somebody's cluster, and so can't have any. */
export function canHaveWorkers(): boolean {
  return cluster.isPrimary;
}
