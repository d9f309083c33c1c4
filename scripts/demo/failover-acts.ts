// The demo's second and third act: the primary is killed under a holder, first alone, then together with a server. Owns
// what happens when; who reacts how is the servers' and the workers' matter.
import { setTimeout as sleep } from 'node:timers/promises';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { eventually } from '../../test/support/eventually.ts';
import type { ClusterMember, SentinelCluster } from '../../test/support/redis/sentinel-cluster.ts';
import type { Crew } from './crew.ts';
import { type DemoServer, TTL_MS } from './demo-deployment.ts';
import type { Timeline } from './demo-timeline.ts';
import type { Belief } from './journal.ts';
import { giveBack, grantThenKill, type LateLease, renewed } from './late-lease.ts';
import type { NewLocks } from './new-locks.ts';
import type { Outage } from './outage.ts';

/** The primary dies this long before a renewal is due. That is the worst moment: the renewal will fail. */
const KILL_BEFORE_RENEWAL_MS = 400;
const GRANTS_AFTER = 3;
const WITHIN_MS = 60_000;

export interface Stage {
  readonly cluster: SentinelCluster;
  readonly servers: readonly DemoServer[];
  readonly timeline: Timeline;
  readonly crew: Crew;
  readonly newLocks: NewLocks;
  /** From here on the servers are watched for an outage. */
  readonly beginOutage: () => Outage;
}

/** What became of the lease that only the dead primary had. */
export interface LateRecord {
  readonly lease: LateLease;
  readonly renewedMs: number | undefined;
  /** Leases that the servers put back; undefined: they don't say. */
  readonly putBack: number | undefined;
}

/** Everybody but the primary lives: the roll call ends the quarantine. */
export async function playFailover(stage: Stage): Promise<{ outage: Outage; late: LateRecord }> {
  const { cluster, servers, timeline, crew } = stage;
  const clients = servers.map(({ client }) => client);
  const belief = await crew.longJob();
  await beforeRenewal(await renewalOf(stage, belief));

  const primary = await cluster.primary();
  const outage = stage.beginOutage();
  const [first] = clients;
  if (!first) throw new Error('the act needs a server');
  timeline.say('redis', 'the replicas stop to listen, so that they miss what comes now', 'bold');
  const lease = await grantThenKill(cluster, primary, first);
  const { belief: held } = lease;
  outage.killedMs = performance.now();
  timeline.say(held.worker, `holds month-end: token ${held.token}, only the primary has it`, 'green');
  timeline.say('redis', `SIGKILL to the primary, ${formatHostPort(primary.address)}`, ['bold', 'red']);
  const renewal = renewed(lease, clients);
  await nextPrimary(stage, primary, outage);
  const renewedMs = await renewal;
  const [text, style] =
    renewedMs === undefined
      ? (['its lease is lost: nobody has put it back', 'red'] as const)
      : (['renewed: the new primary had never heard of it, its server put it back', 'green'] as const);
  timeline.say(held.worker, text, style);
  if (renewedMs === undefined) held.untilMs = performance.now();
  await grantsAgain(stage, outage);
  const late = { lease, renewedMs, putBack: await putBackBy(servers) };
  if (renewedMs !== undefined) await giveBack(lease, first);
  await crew.grants(GRANTS_AFTER, outage.grantsMs ?? 0);
  return { outage, late };
}

/** A server dies with the primary. What it told, nobody else knows: the full quarantine. */
export async function playLoss(stage: Stage): Promise<Outage> {
  const { cluster, servers, timeline, crew } = stage;
  const belief = await crew.longJob();
  await beforeRenewal(belief.fromMs);
  const primary = await cluster.primary();
  const outage = stage.beginOutage();
  const last = servers.at(-1);
  if (!last) throw new Error('the act needs a server');
  await Promise.all([last.server.kill(), primary.process.kill()]);
  outage.killedMs = performance.now();
  timeline.say('redis', `SIGKILL to the primary, ${formatHostPort(primary.address)}, and to ${last.name}`, [
    'bold',
    'red',
  ]);
  await nextPrimary(stage, primary, outage);
  await grantsAgain(stage, outage);
  await crew.grants(GRANTS_AFTER, outage.grantsMs ?? 0);
  return outage;
}

async function renewalOf({ crew }: Stage, { token }: Belief): Promise<number> {
  const renewal = await eventually(() => crew.journal.renewals.find((one) => one.token === token) ?? false, {
    what: 'a renewal of the long job',
    withinMs: TTL_MS,
  });
  return renewal.atMs;
}

/** Waits until the next renewal after this one is nearly due. */
async function beforeRenewal(lastMs: number): Promise<void> {
  await sleep(Math.max(0, lastMs + TTL_MS / 4 - KILL_BEFORE_RENEWAL_MS - performance.now()));
}

async function nextPrimary({ cluster, timeline }: Stage, old: ClusterMember, outage: Outage): Promise<void> {
  const next = await cluster.waitForNewPrimary(old, WITHIN_MS);
  outage.switchedMs = performance.now();
  timeline.say('sentinels', `a majority names ${formatHostPort(next.address)} as the new primary`, 'bold');
}

async function grantsAgain({ newLocks, timeline }: Stage, outage: Outage): Promise<void> {
  const first = await eventually(() => newLocks.firstAfter(outage.killedMs) ?? false, {
    what: 'a new lock',
    withinMs: WITHIN_MS,
  });
  await eventually(() => outage.grantsMs !== undefined && outage.how !== undefined, {
    what: 'a server that says how the quarantine ended',
    withinMs: WITHIN_MS,
  });
  const after = ((first.grantedMs - outage.killedMs) / 1_000).toFixed(1);
  timeline.say('new locks', `the first new lock, ${after} s after the kill`, 'green');
}

/** By the metrics of the servers. */
async function putBackBy(servers: readonly DemoServer[]): Promise<number | undefined> {
  const counts = await Promise.all(
    servers.map(async ({ admin }) => {
      const text = await (await fetch(`http://${formatHostPort(admin)}/metrics`)).text();
      return Number(/^leasehold_roll_call_leases_put_back_total(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1]);
    }),
  );
  const known = counts.filter((count) => !Number.isNaN(count));
  return known.length === 0 ? undefined : known.reduce((sum, count) => sum + count, 0);
}
