// One worker as the supervisor sees it: something that takes orders, reports, and ends. What stands behind it is in
// cluster-workers.ts; tests bring their own.

import type { Order, Report } from './worker-messages.ts';

/** How a process ended: its exit code, or the signal that ended it. */
export interface ProcessEnd {
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

export interface WorkerListener {
  reported(report: Report): void;
  /** Called once, and nothing is reported after it. */
  ended(end: ProcessEnd): void;
}

export interface WorkerProcess {
  readonly pid: number | undefined;
  /** An order to a worker that is just ending is lost, as it would be a moment later. */
  tell(order: Order): void;
  /** Ends it at once. */
  kill(): void;
}

export type StartWorker = (number: number, listener: WorkerListener) => WorkerProcess;
