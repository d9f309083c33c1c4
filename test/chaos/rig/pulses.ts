// What the servers say about themselves while a run lasts. Each is asked five times a second, past the network and on
// its own, so that a frozen server delays no other server's pulse.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Duration } from '../../../generated/google/protobuf/duration.ts';
import { nowMs, type Pulse } from '../history.ts';
import type { RunHistory } from './run-history.ts';
import type { ServerTarget } from './server-target.ts';

const EVERY_MS = 200;

export class Pulses {
  readonly #newest = new Map<string, Pulse>();
  readonly #history: RunHistory;
  readonly #loops: Promise<unknown>;
  #isOver = false;

  constructor(servers: readonly ServerTarget[], history: RunHistory) {
    this.#history = history;
    this.#loops = Promise.all(servers.map((server) => this.#take(server)));
  }

  /** The newest pulse of each, for people. */
  describe(): string {
    return [...this.#newest.values()]
      .map(({ server, serving, epoch, quarantineMs }) => {
        const quarantine = quarantineMs > 0 ? `, quarantine ${(quarantineMs / 1_000).toFixed(1)} s` : '';
        return `${server} ${serving ? `epoch ${epoch}${quarantine}` : 'not serving'}`;
      })
      .join('; ');
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#loops;
  }

  async #take(server: ServerTarget): Promise<void> {
    while (!this.#isOver) {
      const askedMs = nowMs();
      const info = await server.info();
      if (info !== undefined) {
        const newcomerMs = millisecondsOf(info.rollCall?.newcomerRemaining);
        const pulse: Pulse = {
          kind: 'pulse',
          atMs: nowMs(),
          server: server.name,
          serving: info.serving,
          reign: info.reign,
          epoch: Number(info.epoch),
          quarantineMs: millisecondsOf(info.quarantineRemaining),
          askedMs,
          ...(newcomerMs > 0 && { newcomerMs }),
        };
        this.#newest.set(server.name, pulse);
        this.#history.write(pulse);
      }
      await sleep(EVERY_MS);
    }
  }
}

function millisecondsOf(duration: Duration | undefined): number {
  return duration ? Number(duration.seconds) * 1_000 + duration.nanos / 1e6 : 0;
}
