// What the Sentinels of a deployment say, and what a test tells them. Owns the connections to them and the count of a
// majority. It bypasses the proxies, so that a test knows the truth on either side of a partition.
import type { Redis } from 'ioredis';
import type { Address } from './redis-config.ts';
import type { RedisProcess } from './redis-process.ts';

export class SentinelView {
  readonly #sentinels: readonly RedisProcess[];
  readonly #masterName: string;
  readonly #clients = new Map<RedisProcess, Redis>();

  constructor(sentinels: readonly RedisProcess[], masterName: string) {
    this.#sentinels = sentinels;
    this.#masterName = masterName;
  }

  /** The address that more than half of all Sentinels name, also counting those that don't answer. */
  async majorityPrimary(): Promise<Address | undefined> {
    const named = await Promise.all(this.#sentinels.map((sentinel) => this.#primaryNamedBy(sentinel)));
    const votes = new Map<string, number>();
    for (const name of named) {
      if (name !== undefined) votes.set(name, (votes.get(name) ?? 0) + 1);
    }
    for (const [name, count] of votes) {
      if (count > this.#sentinels.length / 2) return addressOf(name);
    }
    return undefined;
  }

  /** Why this Sentinel couldn't fail over well now; undefined when it knows all the others and good replicas. */
  async whatIsMissingAt(sentinel: RedisProcess, replicaCount: number): Promise<string | undefined> {
    const otherCount = this.#sentinels.length - 1;
    const [master] = records([await this.#ask(sentinel, 'MASTER')]);
    const others = records(await this.#ask(sentinel, 'SENTINELS'));
    const replicas = records(await this.#ask(sentinel, 'REPLICAS'));
    if (master?.get('flags') !== 'master') return `the primary is ${master?.get('flags')}`;
    if (master.get('num-other-sentinels') !== String(otherCount)) return 'it does not know all Sentinels';
    if (master.get('num-slaves') !== String(replicaCount)) return 'it does not know all replicas';
    const badSentinel = others.find((other) => other.get('flags') !== 'sentinel');
    if (badSentinel) return `another Sentinel is ${badSentinel.get('flags')}`;
    const badReplica = replicas.find(
      (replica) => replica.get('flags') !== 'slave' || replica.get('master-link-status') !== 'ok',
    );
    if (badReplica) return `a replica is ${badReplica.get('flags')}, ${badReplica.get('master-link-status')}`;
    return undefined;
  }

  async startFailover(sentinel: RedisProcess): Promise<void> {
    await this.#ask(sentinel, 'FAILOVER');
  }

  /** For how long a member must be silent until a Sentinel takes it for dead. */
  async setDownAfter(ms: number): Promise<void> {
    await Promise.all(
      this.#sentinels.map((sentinel) => this.#ask(sentinel, 'SET', 'down-after-milliseconds', String(ms))),
    );
  }

  close(): void {
    for (const client of this.#clients.values()) client.disconnect();
    this.#clients.clear();
  }

  async #primaryNamedBy(sentinel: RedisProcess): Promise<string | undefined> {
    try {
      const answer = await this.#ask(sentinel, 'GET-MASTER-ADDR-BY-NAME');
      return Array.isArray(answer) ? answer.join(' ') : undefined;
    } catch {
      return undefined;
    }
  }

  #ask(sentinel: RedisProcess, subcommand: string, ...more: readonly string[]): Promise<unknown> {
    return this.#client(sentinel).call('SENTINEL', subcommand, this.#masterName, ...more);
  }

  #client(sentinel: RedisProcess): Redis {
    const known = this.#clients.get(sentinel);
    if (known !== undefined && known.status !== 'end') return known;
    const client = sentinel.client();
    this.#clients.set(sentinel, client);
    return client;
  }
}

function addressOf(name: string): Address {
  const [host = '', port = ''] = name.split(' ');
  return { host, port: Number(port) };
}

/** SENTINEL MASTER, REPLICAS and SENTINELS answer flat lists of names and values (maps, in RESP3). */
function records(answer: unknown): ReadonlyMap<string, string>[] {
  if (!Array.isArray(answer)) return [];
  return answer.map((entry: unknown) => {
    if (!Array.isArray(entry))
      return new Map(Object.entries(entry ?? {}).map(([name, value]) => [name, String(value)]));
    const fields = new Map<string, string>();
    for (let index = 0; index + 1 < entry.length; index += 2)
      fields.set(String(entry[index]), String(entry[index + 1]));
    return fields;
  });
}
