// How each collector of the monitor is doing: whether its last read succeeded as a whole, how long it took, and when it
// last did. A collector reads several nodes; one that fails is a failure of the collector, and is told once.

import type { Clock } from '../domain/clock.ts';
import { toldOnce } from '../domain/told-once.ts';

/** `events` is a subscription, and the others are questions. */
export type Collector = 'info' | 'latency' | 'slowlog' | 'counts' | 'sentinels' | 'events';

export interface CollectorState {
  readonly collector: Collector;
  readonly isUp: boolean;
  /** Of the slowest node. */
  readonly durationSeconds: number;
  /** Undefined: never. */
  readonly lastSuccessSeconds: number | undefined;
}

export interface Read {
  readonly collector: Collector;
  /** The node that was read. */
  readonly target: string;
  readonly tookMs: number;
  /** Why it failed; undefined: it didn't. */
  readonly reason?: string | undefined;
  /** Another collector has told of this trouble. */
  readonly isTold?: boolean;
}

interface Target {
  isUp: boolean;
  tookMs: number;
  readonly trouble: (reason: string | undefined) => void;
}

interface Kept {
  readonly targets: Map<string, Target>;
  lastSuccessMs: number | undefined;
}

export class Collectors {
  readonly #clock: Clock;
  readonly #complain: (collector: Collector, target: string, reason: string) => void;
  readonly #kept: ReadonlyMap<Collector, Kept>;

  /** @param names those that this deployment has something for. */
  constructor(
    names: readonly Collector[],
    clock: Clock,
    complain: (collector: Collector, target: string, reason: string) => void,
  ) {
    this.#clock = clock;
    this.#complain = complain;
    this.#kept = new Map(names.map((name) => [name, { targets: new Map(), lastSuccessMs: undefined }]));
  }

  report({ collector, target, tookMs, reason, isTold = false }: Read): void {
    const kept = this.#kept.get(collector);
    if (!kept) return;
    const known = kept.targets.get(target) ?? {
      isUp: false,
      tookMs: 0,
      trouble: toldOnce((why) => this.#complain(collector, target, why)),
    };
    kept.targets.set(target, known);
    known.isUp = reason === undefined;
    known.tookMs = tookMs;
    if (!isTold) known.trouble(reason);
    if (isUp(kept)) kept.lastSuccessMs = this.#clock.wallMs();
  }

  /** The nodes that are not among these are nothing to a collector any more. */
  keepOnly(collectors: readonly Collector[], targets: ReadonlySet<string>): void {
    for (const collector of collectors) {
      const known = this.#kept.get(collector)?.targets ?? new Map<string, Target>();
      for (const target of known.keys()) if (!targets.has(target)) known.delete(target);
    }
  }

  states(): readonly CollectorState[] {
    return [...this.#kept].map(([collector, kept]) => ({
      collector,
      isUp: isUp(kept),
      durationSeconds: Math.max(0, ...[...kept.targets.values()].map(({ tookMs }) => tookMs)) / 1_000,
      lastSuccessSeconds: kept.lastSuccessMs === undefined ? undefined : kept.lastSuccessMs / 1_000,
    }));
  }
}

function isUp({ targets }: Kept): boolean {
  return targets.size > 0 && [...targets.values()].every((target) => target.isUp);
}
