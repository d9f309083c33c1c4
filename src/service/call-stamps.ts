// The numbers of this instance's calls, by which the stores know which call speaks for a lease or a place in the queue.

import type { CallStamp } from '../domain/lock.ts';

export class CallStamps {
  readonly #instanceId: string;
  #calls = 0;

  constructor(instanceId: string) {
    this.#instanceId = instanceId;
  }

  forUnary(): CallStamp {
    this.#calls += 2;
    return { instanceId: this.#instanceId, callNumber: this.#calls };
  }

  /** Odd: the stores tell a stream when its lease was released. */
  forStream(): CallStamp {
    this.#calls += 2;
    return { instanceId: this.#instanceId, callNumber: this.#calls + 1 };
  }
}
