// Watches one failover after the other from outside, in a deployment whose servers serve: at each server a caller
// renews its lease and another takes new locks, a client waits for one, and the nodes are asked what they have
// recorded. Owns the calls, and which moment each answer shows; the scenario causes the failovers.
//
// A call leaves every few milliseconds whether or not the one before was answered: a call that was under way when the
// primary died is answered late, and must not hide that the next one would be answered.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lease } from '../generated/leasehold/v1/lease.ts';
import { QuarantineEnd_How } from '../generated/leasehold/v1/server_info.ts';
import { type Client, createClient } from '../src/client/client.ts';
import { formatHostPort } from '../src/domain/host-port.ts';
import { loadScripts } from '../src/store/redis/scripts.ts';
import { eventually } from '../test/support/eventually.ts';
import type { SentinelCluster } from '../test/support/redis/sentinel-cluster.ts';
import type { ServerProcess } from '../test/support/server-process.ts';
import { duration, TestClient } from '../test/support/test-instance.ts';
import { NodeView, type Recorded, SLOW_US, untilRegistryIsOld } from './node-view.ts';

const CALL_EVERY_MS = 25;
const CALL_TIMEOUT_MS = 5_000;
const ASK_EVERY_MS = 5;
/** Detection, and a full quarantine. */
const OVER_WITHIN_MS = 120_000;
/** Some ticks. */
const TOLD_WITHIN_MS = 5_000;
const KEPT_TTL_MS = 30_000;
const PROBE_TTL_MS = 2_000;
const SCRIPTS = loadScripts();

/** When what happened, counted from the cause. */
export interface Failover {
  /** A majority of the Sentinels names another node. */
  readonly namedMs: number;
  /** The new primary has a new reign. */
  readonly adoptedMs: number;
  /** Its quarantine is over. */
  readonly endedMs: number;
  /** The first lease is renewed under the new reign. */
  readonly renewedMs: number;
  /** The first new grant under the new reign. */
  readonly grantedMs: number;
  /** Each server has granted. */
  readonly everywhereMs: number;
  /** A client that asked right after the cause, and waited, has its lease; NaN if nobody asked. */
  readonly clientMs: number;
  readonly isEarly: boolean;
  /** Why the quarantine ended as it did. */
  readonly how: string;
  /** The longest script that a node has run meanwhile; what Sentinel makes a node do isn't ours. */
  readonly longestScriptMs: number;
  readonly longestScript: string;
}

interface Answer {
  readonly server: ServerProcess;
  readonly sentMs: number;
  readonly receivedMs: number;
}

export class FailoverWatch {
  readonly #cluster: SentinelCluster;
  readonly #clients: ReadonlyMap<ServerProcess, TestClient>;
  readonly #waiting: Client;
  readonly #kept = new Map<ServerProcess, Lease>();

  private constructor(cluster: SentinelCluster, servers: readonly ServerProcess[]) {
    this.#cluster = cluster;
    this.#clients = new Map(servers.map((server) => [server, new TestClient(server.address)]));
    this.#waiting = createClient({ addresses: servers.map(({ address }) => formatHostPort(address)) });
  }

  static start(cluster: SentinelCluster, servers: readonly ServerProcess[]): FailoverWatch {
    return new FailoverWatch(cluster, servers);
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#waiting.close();
  }

  /** Returns when every server grants again. */
  async of(kind: 'killed' | 'planned'): Promise<Failover> {
    const cluster = this.#cluster;
    const old = await cluster.primary();
    await untilRegistryIsOld(old.process);
    await this.#keepLeases();
    const nodes = cluster.nodes.filter((node) => kind === 'planned' || node !== old);
    const views = nodes.map(({ process }) => new NodeView(process));
    for (const view of views) await view.forgetSlowCommands();
    const before = Math.max(...(await recorded(views)).map(({ epoch }) => epoch));
    const seen = { renewals: [] as Answer[], grants: [] as Answer[] };
    let isOver = false;
    const calling: Promise<void>[] = [];
    const repeat = (work: (sentMs: number) => Promise<unknown>): void => {
      calling.push(everyFewMs(() => isOver, work));
    };
    const startMs = performance.now();
    const caused = kind === 'killed' ? old.process.kill() : cluster.failover();
    caused.catch(() => undefined); // awaited below
    for (const [server, client] of this.#clients) {
      const noted = (into: Answer[], sentMs: number) => () =>
        into.push({ server, sentMs, receivedMs: performance.now() });
      repeat((sentMs) => this.#renew(server, client).then(noted(seen.renewals, sentMs)));
      repeat((sentMs) => take(client).then(noted(seen.grants, sentMs)));
    }
    const waiting = kind === 'killed' ? this.#wait() : Promise.resolve(Number.NaN);
    try {
      const [namedMs, { adoptedMs, endedMs, isEarly }] = await Promise.all([
        cluster.waitForNewPrimary(old, OVER_WITHIN_MS).then(() => performance.now()),
        watchReign(views, before),
        caused,
      ]);
      // A dead primary answers nothing. Of a demoted one, old sessions go on for a moment: what counts was sent after
      // the adoption, and for a grant answered after the quarantine.
      const sinceMs = kind === 'killed' ? startMs : adoptedMs;
      const renewals = () => seen.renewals.filter(({ sentMs }) => sentMs >= sinceMs);
      const grants = () =>
        seen.grants.filter(({ sentMs, receivedMs }) => sentMs >= sinceMs && receivedMs >= endedMs);
      const everywhere = () => new Set(grants().map(({ server }) => server)).size === this.#clients.size;
      await eventually(() => everywhere() && renewals().length > 0, {
        what: 'grants by every server',
        withinMs: OVER_WITHIN_MS,
        everyMs: ASK_EVERY_MS,
      });
      const clientMs = await waiting;
      const firsts = [...this.#clients.keys()].map((server) =>
        first(grants().filter((grant) => grant.server === server)),
      );
      return {
        namedMs: namedMs - startMs,
        adoptedMs: adoptedMs - startMs,
        endedMs: endedMs - startMs,
        renewedMs: first(renewals()) - startMs,
        grantedMs: Math.min(...firsts) - startMs,
        everywhereMs: Math.max(...firsts) - startMs,
        clientMs: clientMs - startMs,
        isEarly,
        how: isEarly ? 'early' : await this.#whyFull(),
        ...(await longestScriptOf(views)),
      };
    } finally {
      isOver = true;
      await Promise.all(calling);
      for (const view of views) view.close();
    }
  }

  /** At each server, a lease that is renewed in the failover; one that was lost is taken anew. */
  async #keepLeases(): Promise<void> {
    for (const [server, client] of this.#clients) {
      if (this.#kept.has(server) && (await renews(this.#renew(server, client)))) continue;
      const spec = { resource: `kept/${randomUUID()}`, owner: 'bench', ttl: duration(KEPT_TTL_MS) };
      const { lease } = await client.acquire(spec);
      if (lease) this.#kept.set(server, lease);
    }
  }

  async #renew(server: ServerProcess, client: TestClient): Promise<unknown> {
    const { resource = '', leaseId = '', fencingToken = 0n } = this.#kept.get(server) ?? {};
    return client.renew({ resource, leaseId, fencingToken });
  }

  async #wait(): Promise<number> {
    const lease = await this.#waiting.acquire(`waited/${randomUUID()}`, { waitMs: OVER_WITHIN_MS });
    const grantedMs = performance.now();
    await lease.release();
    return grantedMs;
  }

  /** What the servers say of an end that a tick has to tell them first. */
  async #whyFull(): Promise<string> {
    const said = async (): Promise<string | false> => {
      const infos = await Promise.all([...this.#clients.values()].map((client) => client.getServerInfo()));
      const calls = infos.map(({ info }) => info?.rollCall);
      if (!calls.some((call) => call?.enabled)) return 'full: no roll call';
      const full = calls.find((call) => call?.lastQuarantineEnd?.how === QuarantineEnd_How.HOW_FULL);
      return full !== undefined && `full: ${full.lastQuarantineEnd?.why}`;
    };
    return eventually(said, { what: 'an end of the quarantine', withinMs: TOLD_WITHIN_MS }).catch(
      () => 'full',
    );
  }
}

/** Starts `work` every few milliseconds, and ends when all that was started has ended, well or not. */
async function everyFewMs(isOver: () => boolean, work: (sentMs: number) => Promise<unknown>): Promise<void> {
  const open = new Set<Promise<unknown>>();
  while (!isOver()) {
    const one: Promise<unknown> = work(performance.now())
      .catch(() => undefined)
      .finally(() => open.delete(one));
    open.add(one);
    await sleep(CALL_EVERY_MS);
  }
  await Promise.all(open);
}

function take(client: TestClient): Promise<unknown> {
  const spec = { resource: `taken/${randomUUID()}`, owner: 'bench', ttl: duration(PROBE_TTL_MS) };
  return client.acquire(spec, undefined, CALL_TIMEOUT_MS);
}

async function renews(renewal: Promise<unknown>): Promise<boolean> {
  return renewal.then(
    () => true,
    () => false,
  );
}

function first(answers: readonly Answer[]): number {
  return Math.min(...answers.map(({ receivedMs }) => receivedMs));
}

/** Waits until the quarantine of the reign after `before` is over. */
async function watchReign(views: readonly NodeView[], before: number) {
  const { adoptedMs, quarantineEndsMs, fullEndsMs } = await eventually(
    async () => {
      const news = (await recorded(views)).find(({ epoch }) => epoch > before);
      return news !== undefined && news.quarantineEndsMs <= performance.now() && news;
    },
    { what: 'the end of the quarantine', withinMs: OVER_WITHIN_MS, everyMs: ASK_EVERY_MS },
  );
  return { adoptedMs, endedMs: quarantineEndsMs, isEarly: fullEndsMs > quarantineEndsMs };
}

/** What the nodes have recorded that answer. */
async function recorded(views: readonly NodeView[]): Promise<readonly Recorded[]> {
  const all = await Promise.allSettled(views.map((view) => view.recorded()));
  return all.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
}

async function longestScriptOf(
  views: readonly NodeView[],
): Promise<Pick<Failover, 'longestScriptMs' | 'longestScript'>> {
  const commands = (await Promise.all(views.map((view) => view.slowCommands()))).flat();
  const [longest] = commands
    .filter(([, , , [name = '']]) => /^eval/i.test(name))
    .toSorted((a, b) => b[2] - a[2]);
  const script = Object.values(SCRIPTS).find(({ sha1 }) => sha1 === longest?.[3][1]);
  return { longestScriptMs: (longest?.[2] ?? SLOW_US) / 1_000, longestScript: script?.name ?? '' };
}
