// A Redis node or a Sentinel that the monitor reads, and what it read last. While it can't be read again that is kept
// for a moment, and then it is gone: a number that nobody can confirm is no number.

import type { HostPort } from '../domain/host-port.ts';

/** Reads that may fail in a row before the last value is dropped. */
const KEPT_FAILURES = 2;

export class LatestReading<T> {
  #value: T | undefined;
  #failures = 0;

  get value(): T | undefined {
    return this.#value;
  }

  succeeded(value: T): void {
    this.#value = value;
    this.#failures = 0;
  }

  failed(): void {
    if (++this.#failures > KEPT_FAILURES) this.#value = undefined;
  }
}

/** What others see of it. */
export interface Watched<T> {
  /** `host:port`. */
  readonly name: string;
  readonly isUp: boolean;
  /** Undefined if it was never read, or can't be read any more. */
  readonly reading: T | undefined;
}

export class Member<T> {
  readonly address: HostPort;
  /** It is being read. */
  isBusy = false;
  readonly #latest = new LatestReading<T>();
  #isUp = false;

  constructor(address: HostPort) {
    this.address = address;
  }

  /** Whether it has answered the last time. */
  get isUp(): boolean {
    return this.#isUp;
  }

  get reading(): T | undefined {
    return this.#latest.value;
  }

  record({ isUp, reading }: { readonly isUp: boolean; readonly reading: T | undefined }): void {
    this.#isUp = isUp;
    if (reading) this.#latest.succeeded(reading);
    else this.#latest.failed();
  }
}

export function watched<T>(members: ReadonlyMap<string, Member<T>>): readonly Watched<T>[] {
  return [...members].map(([name, { isUp, reading }]) => ({ name, isUp, reading }));
}
