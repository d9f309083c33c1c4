// The history of one run, put in order once for all checks: calls with their ends, faults with their healings, the
// reigns as the servers reported them, and what was done to each process. It judges nothing.

import type { CallBegan, CallEnded, Event, Fault, Pulse, RunBegan, RunEnded } from '../history.ts';

export interface Call {
  readonly began: CallBegan;
  /** Undefined when no process lived to see its end; the outcome is then unknown. */
  readonly ended: CallEnded | undefined;
}

export interface FaultSpan {
  readonly began: Fault;
  /** Infinity means that it stayed. */
  readonly healedMs: number;
}

/** A reign that no server had reported before. */
export interface Reign {
  readonly name: string;
  readonly atMs: number;
}

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export type EventOf<K extends Event['kind']> = Extract<Event, { readonly kind: K }>;

export class Run {
  readonly events: readonly Event[];
  readonly beganAtMs: number;
  readonly endedAtMs: number;
  readonly terms: RunBegan | undefined;
  readonly end: RunEnded | undefined;
  readonly calls: readonly Call[];
  readonly faults: readonly FaultSpan[];
  /** In the order in which servers first reported them; the run began under the first. */
  readonly reigns: readonly Reign[];

  constructor(events: readonly Event[]) {
    // A stable sort: events that one process wrote within one moment keep their order.
    this.events = events.toSorted((a, b) => a.atMs - b.atMs);
    this.beganAtMs = this.events[0]?.atMs ?? 0;
    this.endedAtMs = this.events.at(-1)?.atMs ?? 0;
    this.terms = this.of('run-began')[0];
    this.end = this.of('run-ended')[0];
    const ends = new Map(this.of('call-ended').map((ended) => [ended.call, ended]));
    this.calls = this.of('call-began').map((began) => ({ began, ended: ends.get(began.call) }));
    this.faults = faultSpans(this.of('fault'));
    this.reigns = reignsOf(this.of('pulse'));
  }

  of<K extends Event['kind']>(kind: K): EventOf<K>[] {
    return this.events.filter((event): event is EventOf<K> => event.kind === kind);
  }

  /** The newest reign that was reported by then, for the texts. */
  reignAt(atMs: number): string {
    return this.reigns.findLast((reign) => reign.atMs <= atMs)?.name ?? 'a reign not told';
  }

  /** Whether the process was killed in this time, which ends its calls without a word. */
  wasKilled(name: string, fromMs: number, toMs: number): boolean {
    return this.faults.some(
      ({ began }) =>
        began.fault === 'kill' && began.targets.includes(name) && began.atMs >= fromMs && began.atMs <= toMs,
    );
  }

  /** How long the process stood still in this time. */
  pausedMs(name: string, fromMs: number, toMs: number): number {
    return this.faults
      .filter(({ began }) => began.fault === 'pause' && began.targets.includes(name))
      .reduce((sum, { began, healedMs }) => {
        return sum + Math.max(0, Math.min(healedMs, toMs) - Math.max(began.atMs, fromMs));
      }, 0);
  }

  /** Whether a fault was at work in any of this time. */
  wasDisturbed(fromMs: number, toMs: number): boolean {
    return this.faults.some(({ began, healedMs }) => began.atMs <= toMs && healedMs >= fromMs);
  }

  /** When the last fault was healed; undefined while one stays, and where there was none. */
  get lastHealMs(): number | undefined {
    const last = Math.max(...this.faults.map(({ healedMs }) => healedMs));
    return Number.isFinite(last) ? last : undefined;
  }
}

function faultSpans(faults: readonly Fault[]): FaultSpan[] {
  const healed = new Map(faults.filter(({ phase }) => phase === 'healed').map(({ id, atMs }) => [id, atMs]));
  return faults
    .filter(({ phase }) => phase === 'began')
    .map((began) => ({ began, healedMs: healed.get(began.id) ?? Number.POSITIVE_INFINITY }));
}

function reignsOf(pulses: readonly Pulse[]): Reign[] {
  const seen = new Map<string, Reign>();
  for (const { reign: name, atMs } of pulses) {
    if (name !== '' && !seen.has(name)) seen.set(name, { name, atMs });
  }
  return [...seen.values()];
}

/** Groups the items with the same key, in the order of the list. */
export function grouped<T>(list: readonly T[], key: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of list) {
    const name = key(one);
    const group = groups.get(name);
    if (group) group.push(one);
    else groups.set(name, [one]);
  }
  return groups;
}
