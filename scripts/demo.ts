// `npm run demo`: watch a crashed holder and a failover of Redis. The demo starts a Sentinel deployment and two
// servers. It kills a holder in front of a queue of callers; then workers contend for one lease, and it kills the
// primary under the holder. It prints what everybody saw and what the records prove. Owns the story; the parts are in
// scripts/demo/. Exit codes: 0 all promises kept, 1 a promise broken or a failure, 130 Ctrl-C.
//
// `npm run demo -- --stay`: the same deployment without the story, to try commands on, until Ctrl-C (exit code 0).
import { setTimeout as sleep } from 'node:timers/promises';
import { formatHostPort } from '../src/domain/host-port.ts';
import { quarantineMs } from '../src/domain/safety.ts';
import { eventually } from '../test/support/eventually.ts';
import { describeRuntime, findRedis } from '../test/support/redis/find-redis.ts';
import type { SentinelCluster } from '../test/support/redis/sentinel-cluster.ts';
import { startTraffic } from './demo/demo-callers.ts';
import { type DemoServer, startDeployment, TTL_MS } from './demo/demo-deployment.ts';
import { styled, Timeline } from './demo/demo-timeline.ts';
import { Worker } from './demo/demo-worker.ts';
import { invite } from './demo/invitation.ts';
import { type Belief, Journal, promisesKept } from './demo/journal.ts';
import { OutageNotes } from './demo/outage-notes.ts';
import { isInOrder, playQueue } from './demo/queue-act.ts';
import { type ServerState, watchServer } from './demo/server-watch.ts';
import { between } from './demo/spans-of-time.ts';
import { type Moments, summarise } from './demo/summary.ts';

const RESOURCE = 'nightly-billing';
const WORKERS = 4;
const CALLERS_IN_QUEUE = 5;
const SHORT_JOB_MS = [300, 900] as const;
const GRANTS_BEFORE = 4;
const GRANTS_AFTER = 4;
/** Longer than the failover, and over well within the quarantine. */
const LONG_JOB_MS = 15_000;
/** The primary dies this long before a renewal is due. That is the worst moment: the renewal will fail. */
const KILL_BEFORE_RENEWAL_MS = 400;
const WITHIN_MS = 30_000;

const ending: (() => Promise<unknown> | unknown)[] = [];
const stopWorkers = new AbortController();
const stopWatching = new AbortController();

async function demo(): Promise<boolean> {
  introduce(describeRuntime(await findRedis()));
  const { cluster, servers } = await startDeployment((stop) => ending.push(stop));
  const died = Promise.race(servers.map(({ server }) => server.diedEarly()));
  return Promise.race([story(cluster, servers), died]);
}

/** Never resolves; rejects when a server dies. */
async function stay(): Promise<never> {
  const redis = describeRuntime(await findRedis());
  console.log('starting a primary, two replicas, three Sentinels and two servers');
  const deployment = await startDeployment((stop) => ending.push(stop));
  const traffic = startTraffic(deployment.servers.map(({ server }) => formatHostPort(server.address)));
  ending.push(() => traffic.stop());
  await invite(deployment, redis);
  return Promise.race(deployment.servers.map(({ server }) => server.diedEarly()));
}

function introduce(redis: string): void {
  const quarantine = quarantineMs(TTL_MS) / 1_000;
  console.log(`${styled('bold', 'Leasehold demo: a holder dies in front of a queue, and Redis fails over under another')}

  Redis     a primary, two replicas and three Sentinels on free ports of this machine
            (${redis})
  servers   two Leasehold processes; a worker sends each call to the other one than the call before
  first     ${CALLERS_IN_QUEUE} callers wait with Hold behind a holder whose process is killed (SIGKILL)
  watch     its lease ends with its TTL, and the callers are served in the order in which they came
  then      ${WORKERS} workers, each: Acquire, work, Release, again. TTL ${TTL_MS / 1_000} s, renewed every ${TTL_MS / 4_000} s.
            One of them begins a long job, and the primary is killed during it
  watch     the holder keeps renewing; nothing new is granted for max_ttl + 4 s = ${quarantine} s
  takes     about 50 s; Ctrl-C stops the demo and everything that it has started
`);
}

async function story(cluster: SentinelCluster, servers: readonly DemoServer[]): Promise<boolean> {
  const startMs = performance.now();
  const timeline = new Timeline(startMs);
  const notes = new OutageNotes(timeline);
  const journal = new Journal();
  const moments: Moments = {
    killedMs: undefined,
    switchedMs: undefined,
    quarantineFromMs: undefined,
    quarantineToMs: undefined,
  };
  const primary = await cluster.primary();
  timeline.say('redis', `the primary is ${formatHostPort(primary.address)}`);

  const usable = new Set<string>();
  const watching = servers.map(({ name, client }) =>
    watchServer(client, stopWatching.signal, (state, before) => {
      if (state.serving) usable.add(name);
      noteQuarantine(moments, state, before);
      timeline.say(name, describe(state), 'cyan');
      if (before?.quarantineMs && state.serving && !state.quarantineMs) notes.sumUp();
      if (before && !before.serving && state.serving) notes.sumUp();
    }),
  );
  await eventually(() => usable.size === servers.length, { what: 'usable servers', withinMs: WITHIN_MS });

  const queue = await playQueue(servers, CALLERS_IN_QUEUE, timeline);

  let longJobBegins: ((belief: Belief) => void) | undefined;
  const longJob = { wanted: false, token: 0n };
  const workers = Array.from({ length: WORKERS }, (_, index) => {
    const options = {
      name: `worker-${index + 1}`,
      clients: servers.map(({ client }) => client),
      resource: RESOURCE,
      ttlMs: TTL_MS,
      journal,
      signal: stopWorkers.signal,
      nextJobMs: () => {
        const belief = journal.beliefs.at(-1);
        if (!longJob.wanted || !belief) return between(...SHORT_JOB_MS);
        longJob.wanted = false;
        longJob.token = belief.token;
        timeline.say(belief.worker, `begins a job of ${LONG_JOB_MS / 1_000} s`, 'bold');
        longJobBegins?.(belief);
        return LONG_JOB_MS;
      },
      observer: {
        granted: ({ name }: Worker, { token }: Belief, validForMs: number) =>
          timeline.say(
            name,
            `holds it: token ${token}, valid for ${(validForMs / 1_000).toFixed(1)} s`,
            'green',
          ),
        renewed: ({ name }: Worker, token: bigint) => timeline.say(name, `renewed: token ${token}`),
        ended: ({ name }: Worker, { fromMs, untilMs = fromMs }: Belief, why: string) =>
          timeline.say(name, `${why}, after ${((untilMs - fromMs) / 1_000).toFixed(1)} s`),
        unavailable: ({ name }: Worker, rpc: string, reason: string) => notes.heard(name, rpc, reason),
      },
    };
    return new Worker(options, index);
  });
  const working = Promise.all(workers.map((worker) => worker.run()));
  void working.catch(() => undefined); // Awaited below; until then a failure must not end the process.

  const grants = (count: number, afterMs = startMs): Promise<unknown> =>
    eventually(() => journal.beliefs.filter(({ fromMs }) => fromMs > afterMs).length >= count, {
      what: `${count} grants`,
      withinMs: WITHIN_MS,
    });
  await grants(GRANTS_BEFORE);
  longJob.wanted = true;
  await new Promise<Belief>((resolve) => {
    longJobBegins = resolve;
  });
  const renewal = await eventually(
    () => journal.renewals.find(({ token }) => token === longJob.token) ?? false,
    { what: 'a renewal of the long job', withinMs: TTL_MS },
  );
  await sleep(renewal.atMs + TTL_MS / 4 - KILL_BEFORE_RENEWAL_MS - performance.now());

  timeline.say('redis', `SIGKILL to the primary, ${formatHostPort(primary.address)}`, ['bold', 'red']);
  const killedMs = performance.now();
  moments.killedMs = killedMs;
  await primary.process.kill();
  const fresh = await cluster.waitForNewPrimary(primary, WITHIN_MS);
  moments.switchedMs = performance.now();
  timeline.say('sentinels', `a majority names ${formatHostPort(fresh.address)} as the new primary`, 'bold');
  await grants(GRANTS_AFTER, killedMs);

  stopWorkers.abort();
  await working;
  stopWatching.abort();
  await Promise.all(watching);
  notes.sumUp();
  for (const { client } of servers) client.close();

  const nowMs = performance.now();
  console.log('\nWho held it when (K: primary killed, S: new primary named, Q: quarantine over)\n');
  const marks = [
    { letter: 'K', atMs: moments.killedMs },
    { letter: 'S', atMs: moments.switchedMs },
    { letter: 'Q', atMs: moments.quarantineToMs },
  ];
  const names = workers.map(({ name }) => name);
  timeline.picture(names, journal.beliefs, marks, nowMs);
  summarise(journal, moments, queue, nowMs);
  return promisesKept(journal, nowMs) && isInOrder(queue);
}

function noteQuarantine(moments: Moments, state: ServerState, before: ServerState | undefined): void {
  if (!state.serving) return;
  if (state.quarantineMs > 0) moments.quarantineFromMs ??= performance.now();
  else if (before?.quarantineMs) moments.quarantineToMs ??= performance.now();
}

function describe({ serving, epoch, quarantineMs: left }: ServerState): string {
  if (!serving) return 'has no usable primary';
  if (left > 0)
    return `reign ${epoch}: quarantine, nothing new is granted for ${(left / 1_000).toFixed(1)} s`;
  return `reign ${epoch}: grants`;
}

async function main(args: readonly string[]): Promise<number> {
  const stays = args.length === 1 && args[0] === '--stay';
  if (args.length > 0 && !stays) {
    console.error(`npm run demo: "${args.join(' ')}" is none of its options. The only one is --stay.`);
    return 2;
  }
  const interrupted = new Promise<number>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.on(signal, () => {
        // The second request ends it at once; the orphan guard ends what is left.
        if (stopWorkers.signal.aborted) process.exit(130);
        stopWorkers.abort();
        console.log('\nstopping the servers and Redis');
        resolve(stays ? 0 : 130);
      });
  });
  const told = (stays ? stay() : demo()).then(
    (kept) => (kept ? 0 : 1),
    (error: unknown) => {
      if (stopWorkers.signal.aborted) return 130;
      console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
      return 1;
    },
  );
  const code = await Promise.race([told, interrupted]);
  stopWorkers.abort();
  stopWatching.abort();
  for (const stop of ending.toReversed()) await stop();
  return code;
}

process.exit(await main(process.argv.slice(2)));
