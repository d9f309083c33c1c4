// How this instance stands in the registry: from when it may tell anything, and whether it remembers all that was told
// in its name. A newcomer waits; an heir takes over how the dead process stood, but not what it remembered.
//
// An heir needs no wait of its own. Whom the data of a fresh answer lack tells nothing yet: that holds for the
// instance, whichever process it is. But it answers incomplete for a while. The interleaving: a worker grants, and is
// killed; the primary dies, and the replica lacks the grant. The worker's heir has nothing to put back, answers as
// complete, and the resource is granted again.

import type { Clock } from '../../domain/clock.ts';
import type { Identity } from '../../domain/inheritance.ts';
import { newcomerWaitMs } from '../../domain/safety.ts';

export interface StandingOptions {
  readonly clock: Clock;
  /** Milliseconds on the machine's monotonic clock. */
  readonly machineMs: () => number;
  readonly maxTtlMs: number;
  /** Undefined: it has no predecessor, and nobody asks how it stands. */
  readonly identity?: Omit<Identity, 'instanceId'> | undefined;
}

/** The mark of an entry whose id two processes had. */
const CONTESTED = '!';

export class Standing {
  readonly #options: StandingOptions;
  #tellsFromMs = 0;
  #lacksUntilMs = Number.NEGATIVE_INFINITY;
  #isRegistering = false;
  #onTells: () => void = () => {};

  constructor(options: StandingOptions) {
    this.#options = options;
    const { identity, clock, machineMs, maxTtlMs } = options;
    if (!identity?.inheritance) return;
    const { diedAtMs, tellsFromMs = diedAtMs + newcomerWaitMs(maxTtlMs) } = identity.inheritance;
    const offsetMs = clock.monotonicMs() - machineMs();
    this.#lacksUntilMs = diedAtMs + maxTtlMs + offsetMs;
    this.#tellsFromMs = tellsFromMs + offsetMs;
    void identity.onStanding(tellsFromMs);
    this.#announceWhenItTells();
  }

  /** Called when this instance may tell again, having been a newcomer. */
  set onTells(listener: () => void) {
    this.#onTells = listener;
  }

  /** For how long this instance tells nothing. */
  get newcomerRemainingMs(): number {
    return Math.max(0, this.#tellsFromMs - this.#options.clock.monotonicMs());
  }

  /** Whether leases may be valid that a dead process told in this one's name. */
  get lacksWhatWasTold(): boolean {
    return this.#lacksUntilMs > this.#options.clock.monotonicMs();
  }

  /**
   * Whether it goes on with an entry that bears this mark: a process with the id has written it, which is dead. Data
   * that lag behind may have one of a process before that. (If two lived at once, their ticks would notice.)
   */
  mayTakeOver(mark: string): boolean {
    return this.#options.identity?.inheritance !== undefined && mark !== CONTESTED;
  }

  /** It asked to be registered, and has not heard that it is: an entry that it finds says nothing. */
  get isRegistering(): boolean {
    return this.#isRegistering;
  }

  /**
   * Before it asks to be registered. The interleaving: it was dropped, registers again, and the reply is lost. The next
   * try finds an entry, and tells at once, as from the moment that counted before; or the process dies, and its heir
   * does so.
   */
  async registers(): Promise<void> {
    this.#isRegistering = true;
    await this.#options.identity?.onStanding(undefined);
  }

  /** It is registered, and tells nothing for so long. */
  registered(waitMs: number): void {
    const { clock, machineMs, identity } = this.#options;
    this.#isRegistering = false;
    this.#tellsFromMs = clock.monotonicMs() + waitMs;
    void identity?.onStanding(machineMs() + waitMs);
    this.#announceWhenItTells();
  }

  #announceWhenItTells(): void {
    if (this.newcomerRemainingMs === 0) return;
    this.#options.clock.after(this.newcomerRemainingMs, () => {
      if (this.newcomerRemainingMs > 0) this.#announceWhenItTells();
      else this.#onTells();
    });
  }
}
