// `npm run demo`: watch a crashed holder and two failovers of Redis. The demo starts a Sentinel deployment and two
// servers. It kills a holder in front of a queue of callers; then workers contend for one lease, and it kills the
// primary under the holder, at last together with a server. It prints what everybody saw and what the records prove.
// Owns the story; the parts are in scripts/demo/. Exit codes: 0 all promises kept, 1 a promise broken or a failure, 130
// Ctrl-C.
//
// `npm run demo -- --stay`: the same deployment without the story, to try commands on, until Ctrl-C (exit code 0).
import { setTimeout as sleep } from 'node:timers/promises';
import { formatHostPort } from '../src/domain/host-port.ts';
import { newcomerWaitMs, quarantineMs } from '../src/domain/safety.ts';
import { eventually } from '../test/support/eventually.ts';
import { describeRuntime, findRedis } from '../test/support/redis/find-redis.ts';
import type { SentinelCluster } from '../test/support/redis/sentinel-cluster.ts';
import { Crew } from './demo/crew.ts';
import { startTraffic } from './demo/demo-callers.ts';
import { type DemoServer, startDeployment, TTL_MS } from './demo/demo-deployment.ts';
import { styled, Timeline } from './demo/demo-timeline.ts';
import { playFailover, playLoss } from './demo/failover-acts.ts';
import { invite } from './demo/invitation.ts';
import { NewLocks } from './demo/new-locks.ts';
import { inWords, Outage } from './demo/outage.ts';
import { OutageNotes } from './demo/outage-notes.ts';
import { playQueue } from './demo/queue-act.ts';
import { type ServerState, watchServer } from './demo/server-watch.ts';
import { LEGEND, summarise } from './demo/summary.ts';

const CALLERS_IN_QUEUE = 5;
const GRANTS_BEFORE = 3;
/** So long and longer the workers work before the primary is killed. */
const BEFORE_THE_KILL_MS = 4_000;
const WITHIN_MS = 60_000;

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
  const newcomer = newcomerWaitMs(TTL_MS) / 1_000;
  const quarantine = quarantineMs(TTL_MS) / 1_000;
  console.log(`${styled('bold', 'Leasehold demo: a holder dies in front of a queue, and Redis fails over under another, twice')}

  Redis     a primary, two replicas and three Sentinels on free ports of this machine
            (${redis})
  servers   two Leasehold processes, with roll_call: on. The first failover comes when both have been
            registered for ${newcomer} s, since before that no roll call can end a quarantine early

  first     ${CALLERS_IN_QUEUE} callers wait with Hold behind a holder whose process is killed (SIGKILL)
  watch     its lease ends with its TTL, and the callers are served in the order in which they came

  second    workers, each: Acquire, work, Release, again. TTL ${TTL_MS / 1_000} s, renewed every ${TTL_MS / 4_000} s. One of them
            begins a long job, and the primary is killed during it, right after it granted a lease that no
            replica has
  watch     the holder keeps renewing. The servers put back what the new primary lacks (the roll call), and
            a moment after that new locks are granted

  third     the next primary is killed together with one of the servers
  watch     nobody knows what that server granted last, so new locks wait for the full quarantine,
            max_ttl + 4 s = ${quarantine} s, and the other server says for whom it waits

  takes     about a minute; Ctrl-C stops the demo and everything that it has started
`);
}

async function story(cluster: SentinelCluster, servers: readonly DemoServer[]): Promise<boolean> {
  const timeline = new Timeline(performance.now());
  const notes = new OutageNotes(timeline);
  const primary = await cluster.primary();
  timeline.say('redis', `the primary is ${formatHostPort(primary.address)}`);

  const states = new Map<DemoServer, ServerState>();
  const nameOf = (instanceId: string): string =>
    servers.find((one) => states.get(one)?.instanceId === instanceId)?.name ?? instanceId;
  const usable = (): number =>
    [...states.values()].filter(({ serving, newcomerMs }) => serving && newcomerMs === 0).length;
  let outage: Outage | undefined;
  const watching = servers.map((one) =>
    watchServer(one.client, stopWatching.signal, (state, before) => {
      states.set(one, state);
      outage?.heard(state, performance.now());
      timeline.say(one.name, inWords(state, before, nameOf), 'cyan');
      if (before?.quarantineMs && state.serving && !state.quarantineMs) notes.sumUp();
      if (before && !before.serving && state.serving) notes.sumUp();
    }),
  );
  await eventually(() => usable() === servers.length, { what: 'usable servers', withinMs: WITHIN_MS });
  const registeredMs = performance.now();
  const queue = await playQueue(servers, CALLERS_IN_QUEUE, timeline);
  const settledMs = registeredMs + newcomerWaitMs(TTL_MS) - BEFORE_THE_KILL_MS;
  await sleep(Math.max(0, settledMs - performance.now()));

  const fromMs = performance.now();
  const clients = servers.map(({ client }) => client);
  const crew = new Crew(clients, timeline, notes, stopWorkers.signal);
  const newLocks = new NewLocks();
  const working = Promise.all([crew.run(), newLocks.run(clients, stopWorkers.signal)]);
  void working.catch(() => undefined); // Awaited below; until then a failure must not end the process.
  await crew.grants(GRANTS_BEFORE, fromMs);
  const beginOutage = (): Outage => {
    outage = new Outage([...states.values()], nameOf);
    return outage;
  };
  const stage = { cluster, servers, timeline, crew, newLocks, beginOutage };
  const { outage: failover, late } = await playFailover(stage);
  const loss = await playLoss(stage);

  stopWorkers.abort();
  await working;
  stopWatching.abort();
  await Promise.all(watching);
  notes.sumUp();
  for (const client of clients) client.close();

  const untilMs = performance.now();
  console.log(`\nWho held what when, from the second act on\n\n${LEGEND}\n`);
  timeline.picture({
    holders: [...crew.names, late.lease.belief.worker],
    beliefs: [...crew.journal.beliefs, late.lease.belief],
    newLocksMs: newLocks.grants.map(({ grantedMs }) => grantedMs),
    marks: [
      { letter: 'K', atMs: failover.killedMs },
      { letter: 'S', atMs: failover.switchedMs },
      { letter: 'R', atMs: failover.how === 'early' ? failover.grantsMs : undefined },
      { letter: 'X', atMs: loss.killedMs },
      { letter: 'S', atMs: loss.switchedMs },
      { letter: 'Q', atMs: loss.how === 'early' ? undefined : loss.grantsMs },
    ],
    fromMs,
    untilMs,
  });
  return summarise({ journal: crew.journal, newLocks, queue, failover, late, loss, nowMs: untilMs });
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
