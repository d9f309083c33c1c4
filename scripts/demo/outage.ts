// One failure of the primary in the demo: its moments as the servers tell them, and in words. All moments are on the
// monotonic clock of this process.
import { endKey, type ServerState } from './server-watch.ts';

export class Outage {
  readonly #formerEpoch: number;
  /** How the quarantine before this outage ended, for each server. */
  readonly #formerEnds: ReadonlyMap<string, string>;
  readonly #nameOf: (instanceId: string) => string;
  /** When the primary was dead. */
  killedMs = Number.POSITIVE_INFINITY;
  /** When a majority of the Sentinels named the next one. */
  switchedMs: number | undefined;
  /** When the first server served on the next one: its reign had just been adopted. */
  servedMs: number | undefined;
  /** When the first server granted there. */
  grantsMs: number | undefined;
  how: 'early' | 'full' | undefined;
  readonly missing = new Set<string>();

  /** Begins with what the servers have said last. */
  constructor(states: readonly ServerState[], nameOf: (instanceId: string) => string) {
    this.#formerEpoch = Math.max(0, ...states.map(({ epoch }) => epoch));
    this.#formerEnds = new Map(states.map((state) => [state.instanceId, endKey(state)]));
    this.#nameOf = nameOf;
  }

  /** A server said this at `nowMs`. */
  heard(state: ServerState, nowMs: number): void {
    const { instanceId, serving, epoch, quarantineMs, missing, lastEnd } = state;
    if (!serving || epoch <= this.#formerEpoch) return;
    this.servedMs ??= nowMs;
    // While the roll call runs, the servers wait for each other for a moment; who is missing at last is what counts.
    if (quarantineMs > 0) {
      this.missing.clear();
      for (const { instanceId } of missing) this.missing.add(this.#nameOf(instanceId));
    } else {
      this.grantsMs ??= nowMs;
      // A server hears that the quarantine is over before it knows how it ended.
      if (endKey(state) !== this.#formerEnds.get(instanceId)) this.how ??= lastEnd?.how;
    }
  }
}

/** What a server's state means, in words. */
export function inWords(
  state: ServerState,
  before: ServerState | undefined,
  nameOf: (instanceId: string) => string,
): string {
  const { serving, epoch, quarantineMs, newcomerMs, missing, lastEnd } = state;
  if (newcomerMs > 0) return `has just registered: answers calls in ${seconds(newcomerMs)}`;
  if (!serving) return 'has no usable primary';
  const reign = `reign ${epoch}:`;
  if (quarantineMs > 0) {
    const waits = missing.map(
      ({ instanceId, unseenMs }) => `${nameOf(instanceId)}, last seen ${seconds(unseenMs)} ago`,
    );
    const forWhom = waits.length > 0 ? `roll call waits for ${waits.join(' and ')}` : 'roll call';
    return `${reign} ${forWhom}; else nothing new for ${seconds(quarantineMs)}`;
  }
  if (lastEnd !== undefined && before !== undefined && endKey(state) !== endKey(before)) {
    return lastEnd.how === 'early'
      ? `${reign} the roll call is complete, and ended the quarantine after ${Math.round(lastEnd.tookMs)} ms`
      : `${reign} the quarantine lasted its whole time, ${seconds(lastEnd.tookMs)}`;
  }
  return `${reign} grants`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
