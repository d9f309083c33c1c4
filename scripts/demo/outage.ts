// One failure of the primary in the demo: its moments as the servers tell them, and in words. All moments are on the
// monotonic clock of this process.
import type { ServerState } from './server-watch.ts';

export class Outage {
  readonly #formerEpoch: number;
  readonly #nameOf: (instanceId: string) => string;
  /** When the primary was dead. */
  killedMs = Number.POSITIVE_INFINITY;
  /** When a majority of the Sentinels named the next one. */
  switchedMs: number | undefined;
  /** When the first server served on the next one. */
  servedMs: number | undefined;
  /** When the first server granted there. */
  grantsMs: number | undefined;
  how: 'early' | 'full' | undefined;
  readonly missing = new Set<string>();

  constructor(formerEpoch: number, nameOf: (instanceId: string) => string) {
    this.#formerEpoch = formerEpoch;
    this.#nameOf = nameOf;
  }

  /** A server said this at `nowMs`. */
  heard({ serving, epoch, quarantineMs, missing, lastEnd }: ServerState, nowMs: number): void {
    if (!serving || epoch <= this.#formerEpoch) return;
    this.servedMs ??= nowMs;
    // While the roll call runs, the servers wait for each other for a moment; who is missing at last is what counts.
    if (quarantineMs > 0) {
      this.missing.clear();
      for (const { instanceId } of missing) this.missing.add(this.#nameOf(instanceId));
    } else {
      this.grantsMs ??= nowMs;
      this.how ??= lastEnd?.how;
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
  const isAfterFailover = before !== undefined && lastEnd !== undefined && before.epoch > 0;
  if (isAfterFailover && lastEnd.how === 'early')
    return `${reign} roll call complete after ${seconds(lastEnd.tookMs)}: grants`;
  if (isAfterFailover && before.quarantineMs > 0) return `${reign} the full quarantine is over: grants`;
  return `${reign} grants`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
