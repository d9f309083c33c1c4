// What each Redis node holds about reigns and the registry of instances, while a run lasts. Every node is asked ten
// times a second, past the network and on its own, so that a frozen node delays no other's lines; a line is written
// when something has changed. The checker decides whether a quarantine was allowed to end.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { keysFor } from '../../../src/store/redis/keys.ts';
import { nowMs, type SeenRegistry } from '../history.ts';
import type { RedisTarget } from './redis-target.ts';
import type { RunHistory } from './run-history.ts';

const EVERY_MS = 100;
/** The default of `redis.key_prefix`, which a run leaves as it is. */
const { meta: META, bucket: BUCKET } = keysFor('leasehold:');
const FIELDS = [
  'reign',
  'epoch',
  'clock',
  'quarantine_until',
  'full_until',
  'floor',
  'lapsed_before',
  'fresh',
] as const;

export class RegistryLookouts {
  readonly #history: RunHistory;
  readonly #loops: Promise<unknown>;
  #isOver = false;

  constructor(nodes: readonly RedisTarget[], history: RunHistory) {
    this.#history = history;
    this.#loops = Promise.all(nodes.map((node) => this.#look(node)));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#loops;
  }

  async #look(node: RedisTarget): Promise<void> {
    let client: Redis | undefined;
    let newest = '';
    while (!this.#isOver) {
      try {
        client ??= node.member.process.client();
        const seen = await registryOf(client, node.name);
        const {
          atMs: _at,
          askedMs: _asked,
          clock: _clock,
          ...told
        } = seen ?? { atMs: 0, askedMs: 0, clock: 0 };
        const text = JSON.stringify(told);
        if (seen && text !== newest) this.#history.write(seen);
        newest = text;
      } catch {
        // It is down or frozen; the next look is on a new connection.
        client?.disconnect();
        client = undefined;
      }
      await sleep(EVERY_MS);
    }
    client?.disconnect();
  }
}

/** Undefined where no reign was adopted yet. */
export async function registryOf(client: Redis, node: string): Promise<SeenRegistry | undefined> {
  const askedMs = nowMs();
  // In one transaction: the registry of one moment, and what was decided about it.
  const replies = await client
    .multi([['hmget', META, ...FIELDS], ['hgetall', `${BUCKET}instances`], ['role']])
    .exec();
  const [meta, registry, role] = (replies ?? []).map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
  const told = (Array.isArray(meta) ? meta : []).map((field: unknown) =>
    field === null ? '' : String(field),
  );
  const [reign = '', epoch = '', clock, quarantineUntil, fullUntil, floor, lapsedBefore, fresh] = told;
  if (reign === '') return undefined;
  return {
    kind: 'seen-registry',
    atMs: nowMs(),
    askedMs,
    node,
    role: Array.isArray(role) && role[0] === 'master' ? 'master' : 'slave',
    reign,
    epoch,
    clock: milliseconds(clock),
    quarantineUntil: milliseconds(quarantineUntil),
    fullUntil: milliseconds(fullUntil || quarantineUntil),
    floor: milliseconds(floor),
    lapsedBefore: milliseconds(lapsedBefore),
    isFresh: fresh === '1',
    entries: entriesOf(registry),
  };
}

/** An entry reads "seen mono wall epoch name"; `seen` changes each second, and only the epoch is told. */
function entriesOf(registry: unknown): Record<string, string> {
  if (typeof registry !== 'object' || registry === null) return {};
  return Object.fromEntries(
    Object.entries(registry).map(([id, entry]) => [id, String(entry).split(' ')[3] ?? '']),
  );
}

function milliseconds(us: string | undefined): number {
  return us === undefined || us === '' ? 0 : Number(us) / 1_000;
}
