// One server process as the supervisor sees it: it takes orders, reports, and ends. cluster-processes.ts starts real
// ones; tests bring their own.

import type { Order, Report } from './process-messages.ts';

/** How a process ended: its exit code, or the signal that ended it. */
export interface ProcessEnd {
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

export interface ProcessListener {
  reported(report: Report): void;
  /** Called once, and nothing is reported after it. */
  ended(end: ProcessEnd): void;
}

export interface SupervisedProcess {
  readonly pid: number | undefined;
  /** An order to a process that is just ending is lost, as it would be a moment later. */
  tell(order: Order): void;
  /** Ends it at once. */
  kill(): void;
}

export type StartProcess = (number: number, listener: ProcessListener) => SupervisedProcess;
