// Writes what one client process does into its file of the history, line by line and at once, so that SIGKILL loses
// nothing that has happened.

import { openSync, writeSync } from 'node:fs';
import {
  type Believed,
  type CallBegan,
  type CallEnded,
  type Event,
  nowMs,
  type Outcome,
} from '../history.ts';

export type Asked = Pick<CallBegan, 'rpc' | 'deadlineMs' | 'lock' | 'locks' | 'operation'>;
export type Told = Pick<CallEnded, 'lease' | 'leases' | 'released' | 'operation' | 'operations' | 'said'>;
export type BeliefName = Pick<Believed, 'resource' | 'leaseId' | 'token' | 'mode' | 'of'>;

/** The deadline of a call that has none, since JSON has no word for infinity. */
export const NO_DEADLINE_MS = Number.MAX_SAFE_INTEGER;

export interface RecordedCall {
  /** Unique in the run, even after this client was started again under its name. */
  readonly id: string;
  ended(outcome: Outcome, reason: string, told?: Told): void;
}

export class Recorder {
  readonly by: string;
  readonly #file: number;
  #calls = 0;

  constructor(historyFile: string, by: string) {
    this.by = by;
    this.#file = openSync(historyFile, 'a');
  }

  /** To be called just before the call is sent. */
  callBegan(asked: Asked): RecordedCall {
    const { by } = this;
    const id = `${by}/${process.pid}-${++this.#calls}`;
    this.#write({ kind: 'call-began', atMs: nowMs(), by, call: id, ...asked });
    return {
      id,
      ended: (outcome, reason, told = {}) =>
        this.#write({ kind: 'call-ended', atMs: nowMs(), by, call: id, outcome, reason, ...told }),
    };
  }

  believed(name: BeliefName, atMs: number, untilMs: number): void {
    this.#write({ kind: 'believed', atMs, untilMs, by: this.by, ...name });
  }

  beliefEnded({ resource, leaseId }: BeliefName, why: string): void {
    this.#write({ kind: 'belief-ended', atMs: nowMs(), by: this.by, resource, leaseId, why });
  }

  queued(call: RecordedCall, resource: string, leaseId: string, position: number): void {
    const { by } = this;
    this.#write({ kind: 'queued', atMs: nowMs(), by, call: call.id, resource, leaseId, position });
  }

  noted(what: string, resource?: string): void {
    this.#write({ kind: 'noted', atMs: nowMs(), by: this.by, what, ...(resource && { resource }) });
  }

  #write(event: Event): void {
    writeSync(this.#file, `${JSON.stringify(event)}\n`);
  }
}
