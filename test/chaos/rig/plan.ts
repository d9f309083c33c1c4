// What happens to a run, as data: when which fault strikes and for how long. Owns the form and the reading of it;
// planner.ts and directed-plans.ts make plans.
import { readFileSync } from 'node:fs';
import { faultNamed } from './faults/catalogue.ts';
import type { FaultOptions } from './faults/fault.ts';

export interface Step {
  /** Counts from the moment when the clients have been started. */
  readonly atMs: number;
  /** Its name in the catalogue. */
  readonly fault: string;
  /** How long it lasts; when not given, it stays until the clients have gone. */
  readonly forMs?: number;
  readonly options?: FaultOptions;
}

export interface Plan {
  readonly name: string;
  readonly mode: 'safety' | 'liveness';
  /** The number of replicas that must acknowledge an answer; 0 means async. */
  readonly minAcks: number;
  /** Whether quarantines end early; they do when not given. */
  readonly rollCall?: boolean;
  readonly steps: readonly Step[];
}

/** Reads a plan from a file, such as `plan.json` in the folder of every run. Throws where the file is none. */
export function readPlan(file: string): Plan {
  const read: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!isPlan(read)) throw new Error(`${file} is no plan: { name, mode, minAcks, steps: [{ atMs, fault }] }`);
  for (const { fault } of read.steps) faultNamed(fault);
  return read;
}

function isPlan(read: unknown): read is Plan {
  if (typeof read !== 'object' || read === null) return false;
  if (!('name' in read && 'mode' in read && 'minAcks' in read && 'steps' in read)) return false;
  return (
    typeof read.name === 'string' &&
    (read.mode === 'safety' || read.mode === 'liveness') &&
    typeof read.minAcks === 'number' &&
    Array.isArray(read.steps) &&
    read.steps.every(isStep)
  );
}

function isStep(read: unknown): boolean {
  if (typeof read !== 'object' || read === null || !('atMs' in read && 'fault' in read)) return false;
  const forMs = 'forMs' in read ? read.forMs : 0;
  return typeof read.atMs === 'number' && typeof read.fault === 'string' && typeof forMs === 'number';
}
