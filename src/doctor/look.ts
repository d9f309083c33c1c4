// Looks at one thing after another on one node, and keeps why something could not be seen. A command that Redis refuses
// costs its own fact only; a node that hangs is given up at the first command that it doesn't answer, and a slow one
// after some seconds.

import { isRefusal, type NodeLines } from '../deployment/node-lines.ts';
import type { Clock } from '../domain/clock.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { Connection } from '../store/redis/connection.ts';
import type { Look } from './facts.ts';

export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text === '' ? 'no reason is known' : text;
}

/** What `work` resolves with, or why it failed. Never rejects. */
export async function look<T>(work: () => Promise<T>): Promise<Look<T>> {
  try {
    return { seen: await work() };
  } catch (error) {
    return { unseen: reasonOf(error) };
  }
}

/** Turns what was seen into what it means; `read` may throw for what it doesn't understand. */
export async function lookAndRead<T>(
  looking: Promise<Look<unknown>>,
  read: (seen: unknown) => T,
): Promise<Look<T>> {
  const looked = await looking;
  return 'unseen' in looked ? looked : look(async () => read(looked.seen));
}

/** For all questions to one node. One that needs most of a second for each answer would otherwise hold up the rest. */
const NODE_WITHIN_MS = 4_000;

export class NodeLook {
  readonly #lines: NodeLines;
  readonly #address: HostPort;
  readonly #clock: Clock;
  readonly #beganAtMs: number;
  #givenUp: string | undefined;

  constructor(lines: NodeLines, address: HostPort, clock: Clock) {
    this.#lines = lines;
    this.#address = address;
    this.#clock = clock;
    this.#beganAtMs = clock.monotonicMs();
  }

  /** Connects and logs in. */
  async open(): Promise<Look<Connection>> {
    return this.#try(() => this.#lines.open(this.#address));
  }

  ask(command: string, ...args: string[]): Promise<Look<unknown>> {
    return this.#try(() => this.#lines.ask(this.#address, command, ...args));
  }

  /** For what needs the connection itself. */
  with<T>(work: (connection: Connection) => Promise<T>): Promise<Look<T>> {
    return this.#try(async () => work(await this.#lines.open(this.#address)));
  }

  async #try<T>(work: () => Promise<T>): Promise<Look<T>> {
    if (this.#clock.monotonicMs() - this.#beganAtMs > NODE_WITHIN_MS) {
      this.#givenUp ??= `it answers so slowly that it was asked no more after ${NODE_WITHIN_MS} ms`;
    }
    if (this.#givenUp !== undefined) return { unseen: this.#givenUp };
    try {
      return { seen: await work() };
    } catch (error) {
      if (!isRefusal(error)) this.#givenUp = reasonOf(error);
      return { unseen: reasonOf(error) };
    }
  }
}
