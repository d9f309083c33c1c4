// Starts server processes with node:cluster, which lets them share one port.
//
// The supervisor's process listens and hands each connection to the next server process in turn (round robin). If all
// of them accepted from one socket instead, the kernel would choose: of 200 connections to four processes one got 3 and
// one 97, and with HTTP/2 a connection stays for long and carries all calls of a client. Handed over in turn, each got
// 47 to 55. It costs a message per connection, not per call. And as only the supervisor holds the listening socket, the
// port is free as soon as the supervisor is gone, however it ended and whatever its server processes are doing.

import cluster from 'node:cluster';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Report } from './process-messages.ts';
import type { StartProcess } from './supervised-process.ts';

/** In the folder beside this one, as source or built. */
const PROGRAM = fileURLToPath(
  new URL(`../server/serve-as-worker${extname(import.meta.url)}`, import.meta.url),
);

export const startClusterProcess: StartProcess = (number, { reported, ended }) => {
  cluster.schedulingPolicy = cluster.SCHED_RR;
  // The list of processes shows the number to people, and the process puts it into its log and its metrics.
  cluster.setupPrimary({ exec: PROGRAM, args: [String(number)] });
  const started = cluster.fork();
  // Reports are not checked: only our own program sends any.
  started.on('message', (report: Report) => reported(report));
  // The last report may still be on its way when the process is gone: the end is told when the channel is closed, too.
  started.once('exit', (code: number | null, signal: string | null) => {
    const end = { code: code ?? undefined, signal: signal ?? undefined };
    if (started.isConnected()) started.once('disconnect', () => ended(end));
    else ended(end);
  });
  // A process that could not be started, or an order that came too late: only its end counts.
  started.on('error', () => {});
  return {
    pid: started.process.pid,
    tell: (order) => {
      if (started.isConnected()) started.send(order, () => {});
    },
    kill: () => started.process.kill('SIGKILL'),
  };
};

/** False if this process is itself a worker of another program's cluster: such a process can't fork its own. */
export function canStartProcesses(): boolean {
  return cluster.isPrimary;
}
