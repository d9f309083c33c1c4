// `npm run test:compose`: boots docker-compose.yml and the image for real. It starts the deployment on empty volumes,
// stops the primary's container under a client that holds a lease, restarts an instance, starts everything again on the
// kept volumes, and prints what happened when. It takes three minutes. Owns the story; the parts are in
// scripts/test-compose/. Exit codes: 0 all as promised, or skipped because no engine answers; 1 a failure; 130 Ctrl-C.
//
// LEASEHOLD_TEST_IMAGE names an image to use instead of building one.
import assert from 'node:assert/strict';
import { quarantineMs, smallestAdvisableTtlMs } from '../src/domain/safety.ts';
import { eventually } from '../test/support/eventually.ts';
import { TestClient } from '../test/support/test-instance.ts';
import { styled, Timeline } from './demo/demo-timeline.ts';
import { Deployment, INSTANCES, REDIS, SENTINELS, SERVICES } from './test-compose/deployment.ts';
import {
  assertNobodyIsRoot,
  assertOneName,
  assertPublished,
  assertRedisSettings,
  assertSentinelSettings,
} from './test-compose/deployment-rules.ts';
import { type Engine, findEngine } from './test-compose/engine.ts';
import { buildImage, imageMegabytes, runBare, runConfigured } from './test-compose/image-trial.ts';
import { LeaseKeeper } from './test-compose/lease-keeper.ts';

const IMAGE = 'leasehold:test-compose';
const DOWN_AFTER_MS = 5_000;
const QUARANTINE_MS = quarantineMs(30_000);
/** Far below the quarantine, yet enough for six Redis processes to find one another on a busy machine. */
const AT_ONCE_WITHIN_MS = 15_000;
/** What the smallest advisable TTL allows for detection and switch, plus slack for a busy machine. */
const NEW_PRIMARY_WITHIN_MS = DOWN_AFTER_MS + 2_500 + 5_000;
const HEALTHY_WITHIN_MS = 90_000;
/** We hear of the quarantine late and poll for its end, so neither end is exact. */
const SLACK_MS = 3_000;
/** The restart delay and the detection of the roles, then the quarantine. */
const SECOND_START_WITHIN_MS = 40_000 + QUARANTINE_MS;

const timeline = new Timeline(performance.now());
const say = timeline.say.bind(timeline);
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
const ending: (() => Promise<unknown> | unknown)[] = [];
let largestToken = 0n;
let isInterrupted = false;

async function story(engine: Engine): Promise<void> {
  say('engine', `Docker ${engine.version}, compose ${engine.composeVersion} (${engine.compose.join(' ')})`);
  const image = await anImage();
  const bare = await runBare(image);
  say(
    'image',
    `without configuration, it answers and grants ${seconds(bare.servesAfterMs)} after "docker run"`,
  );
  say(
    'image',
    `healthy after ${seconds(bare.healthyAfterMs)}; exits with 0 ${seconds(bare.stopsAfterMs)} after SIGTERM`,
  );

  const deployment = await Deployment.prepare(engine, image);
  await deployment.remove(); // A run that was killed may have left something.
  ending.push(async () => {
    const left = await deployment.remove();
    say(
      'end',
      left.length === 0 ? 'removed the containers, networks and volumes' : `left behind: ${left.join(' ')}`,
    );
    assert.deepEqual(left, [], 'left behind');
  });
  const clients = deployment.grpc.map((address) => new TestClient(address));
  ending.push(() => {
    for (const client of clients) client.close();
  });
  try {
    await firstStart(deployment, clients);
    const keeper = await LeaseKeeper.acquire(clients, 'nightly-billing');
    ending.push(() => keeper.stop());
    largestToken = keeper.token;
    say('client', `holds a lease for the rest of the test: token ${keeper.token}, TTL 20 s`);
    await failover(deployment, clients, keeper);
    await restartOfAnInstance(deployment, keeper);
    await runConfigured(deployment);
    say('image', 'a third instance by mounted file, secret file and environment is ready');
    await keeper.stop();
    await secondStart(deployment, clients);
  } catch (error) {
    if (isInterrupted) throw error;
    console.error(`\n${await deployment.logs().catch(() => '')}\n`);
    throw error;
  }
}

async function anImage(): Promise<string> {
  const given = process.env.LEASEHOLD_TEST_IMAGE;
  if (given) {
    say('image', `${given}, ${await imageMegabytes(given)} MB`);
    return given;
  }
  const startMs = performance.now();
  const megabytes = await buildImage(IMAGE);
  say('image', `built in ${seconds(performance.now() - startMs)}, ${megabytes} MB`);
  return IMAGE;
}

async function firstStart(deployment: Deployment, clients: readonly TestClient[]): Promise<void> {
  const startMs = performance.now();
  await deployment.up();
  const upMs = performance.now();
  say('compose', `"up" on empty volumes returns after ${seconds(upMs - startMs)}`, 'bold');
  await grant(clients, 'first', AT_ONCE_WITHIN_MS);
  say(
    'client',
    `first grant ${seconds(performance.now() - startMs)} after "up" began, no quarantine`,
    'green',
  );
  await allHealthy(deployment);
  await Promise.all([assertNobodyIsRoot(deployment), assertPublished(deployment), assertOneName(deployment)]);
  await assertRedisSettings(deployment);
  await eventually(() => assertSentinelSettings(deployment), {
    what: 'Sentinels that know all others',
    withinMs: 20_000,
    everyMs: 500,
  });
  say(
    'check',
    'nothing runs as root; only the instances publish ports, on loopback; one name stands for both',
  );
  say('check', 'Redis and Sentinel have the documented settings, and Redis requires the password');
}

async function failover(
  deployment: Deployment,
  clients: readonly TestClient[],
  keeper: LeaseKeeper,
): Promise<void> {
  await eventually(() => keeper.renewals.length > 0, { what: 'a renewal', withinMs: 10_000 });
  const [old = ''] = REDIS;
  const before = await reignOf(clients[0]);
  const stopMs = performance.now();
  await deployment.stop(old);
  const goneMs = performance.now();
  say('redis', `docker stop of the primary, ${old} (took ${seconds(goneMs - stopMs)})`, ['bold', 'red']);

  for (const client of clients)
    await eventually(async () => ![before, ''].includes(await reignOf(client)), {
      what: 'a new primary',
      withinMs: NEW_PRIMARY_WITHIN_MS,
    });
  const reignMs = performance.now();
  const [name] = await deployment.ask('sentinel-1', 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster');
  say(
    'sentinels',
    `new primary ${name}: both instances use it ${seconds(reignMs - goneMs)} after the stop`,
    'bold',
  );
  const renewedMs = await eventually(() => keeper.renewedAfter(goneMs), {
    what: 'a renewal at the new primary',
    withinMs: 10_000,
  });
  say(
    'client',
    `renewed ${seconds(renewedMs - goneMs)} after the stop; still token ${keeper.token}`,
    'green',
  );
  for (const client of clients)
    await assert.rejects(client.acquire({ resource: 'too-early' }), { reason: 'QUARANTINE' });

  // The repair takes place during the quarantine.
  await deployment.start(old);
  const restartMs = performance.now();
  await sentinelRestart(deployment);
  await eventually(async () => (await deployment.ask(old, 'ROLE'))[0] === 'slave', {
    what: `${old} as a replica`,
    withinMs: 60_000,
    everyMs: 500,
  });
  say('redis', `${old}, started again, is a replica after ${seconds(performance.now() - restartMs)}`);

  await grant(clients, 'after-failover', QUARANTINE_MS + SLACK_MS);
  const quietMs = performance.now() - reignMs;
  assert.ok(quietMs > QUARANTINE_MS - SLACK_MS, `granted ${seconds(quietMs)} after the new reign began`);
  keeper.assertHeld();
  say('client', `grants again, ${seconds(quietMs)} after the new reign began; the token is larger`, 'green');
  const left = seconds(keeper.leastLeftMs);
  say('client', `the held lease was never closer than ${left} to its end`);
}

/** A Sentinel that comes back has the same id and knows the others. */
async function sentinelRestart(deployment: Deployment): Promise<void> {
  const [, , third = ''] = SENTINELS;
  const [id] = await deployment.ask(third, 'SENTINEL', 'MYID');
  await deployment.restart(third);
  await eventually(async () => assert.deepEqual(await deployment.ask(third, 'SENTINEL', 'MYID'), [id]), {
    what: `${third} under its id`,
    withinMs: 20_000,
    everyMs: 250,
  });
  await assertSentinelSettings(deployment);
  say('sentinels', `${third}, restarted while ${REDIS[0]} was away, has the same id and knows all others`);
}

async function restartOfAnInstance(deployment: Deployment, keeper: LeaseKeeper): Promise<void> {
  const [first = ''] = INSTANCES;
  const stopMs = performance.now();
  await deployment.stop(first);
  const tookMs = performance.now() - stopMs;
  const { ExitCode: code } = await deployment.state(first);
  assert.equal(code, 0, `exit code of ${first}`);
  say(first, `SIGTERM: drained, and exited with ${code} after ${seconds(tookMs)}`, 'bold');
  await eventually(() => keeper.renewedAfter(stopMs + tookMs), {
    what: 'a renewal at the other instance',
    withinMs: 15_000,
  });
  await deployment.start(first);
  await allHealthy(deployment);
  keeper.assertHeld();
  say(first, 'started again; the held lease lived on at the other instance', 'green');
}

async function secondStart(deployment: Deployment, clients: readonly TestClient[]): Promise<void> {
  await deployment.down();
  say('compose', '"down", which keeps the volumes', 'bold');
  const startMs = performance.now();
  await deployment.up();
  say('compose', `"up" on kept volumes returns after ${seconds(performance.now() - startMs)}`);
  await eventually(async () => (await Promise.all(clients.map(reignOf))).every((reign) => reign !== ''), {
    what: 'a primary in use',
    withinMs: SECOND_START_WITHIN_MS - QUARANTINE_MS,
  });
  const reignMs = performance.now();
  say('compose', `a primary is in use after ${seconds(reignMs - startMs)}; the quarantine begins`);
  await grant(clients, 'second-start', SECOND_START_WITHIN_MS);
  const quietMs = performance.now() - reignMs;
  assert.ok(quietMs > QUARANTINE_MS - SLACK_MS, `the second start granted after ${seconds(quietMs)}`);
  const total = seconds(performance.now() - startMs);
  say(
    'client',
    `first grant ${seconds(quietMs)} later, ${total} after "up" began; the token is larger`,
    'green',
  );
  await allHealthy(deployment);
}

/** Waits for a grant, whose token must be larger than all before. */
async function grant(clients: readonly TestClient[], resource: string, within: number): Promise<void> {
  let calls = 0;
  const granted = await eventually(() => clients[calls++ % clients.length]?.acquire({ resource }), {
    what: `a grant of ${resource}`,
    withinMs: within,
    everyMs: 100,
  });
  const token = granted?.lease?.fencingToken ?? 0n;
  assert.ok(token > largestToken, `token ${token} is larger than ${largestToken}`);
  largestToken = token;
}

async function reignOf(client: TestClient | undefined): Promise<string> {
  const info = await client?.getServerInfo().catch(() => undefined);
  return info?.info?.serving ? info.info.reign : '';
}

async function allHealthy(deployment: Deployment): Promise<void> {
  const startMs = performance.now();
  await eventually(
    async () => {
      for (const service of SERVICES)
        assert.ok(await deployment.isHealthy(service), `${service} is not healthy yet`);
    },
    { what: 'healthy containers', withinMs: HEALTHY_WITHIN_MS, everyMs: 500 },
  );
  say(
    'compose',
    `all ${SERVICES.length} containers are healthy (waited ${seconds(performance.now() - startMs)})`,
  );
}

async function main(): Promise<number> {
  assert.ok(smallestAdvisableTtlMs(DOWN_AFTER_MS) <= 20_000, 'the default TTL survives a failover');
  const engine = await findEngine();
  if (typeof engine === 'string') {
    console.log(`test:compose is skipped: ${engine}`);
    return 0;
  }
  const interrupted = new Promise<number>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        isInterrupted = true;
        say('end', 'interrupted: removing what was started');
        resolve(130);
      });
  });
  const told = story(engine).then(
    () => 0,
    (error: unknown) => {
      if (!isInterrupted)
        console.error(
          `${styled('red', 'failed')}: ${error instanceof Error ? error.message : String(error)}`,
        );
      return 1;
    },
  );
  let code = await Promise.race([told, interrupted]);
  for (const end of ending.toReversed())
    await Promise.resolve(end()).catch((error: unknown) => {
      console.error(`cleaning up: ${error instanceof Error ? error.message : String(error)}`);
      code ||= 1;
    });
  if (code === 0) say('end', 'all as promised', ['bold', 'green']);
  return code;
}

process.exit(await main());
