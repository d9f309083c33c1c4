// The demo's first act: callers queue up behind a holder with `Hold`, and the holder's process is killed. Owns the
// queue and its records; the timeline prints.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { hold } from '../../test/support/lease-stream.ts';
import { guardFromOrphaning, releaseFromGuard } from '../../test/support/redis/orphan-guard.ts';
import type { ServerProcess } from '../../test/support/server-process.ts';
import { duration, type TestClient } from '../../test/support/test-instance.ts';
import type { Timeline } from './demo-timeline.ts';

const RESOURCE = 'print-queue';
const TTL_MS = 3_000;
const WORK_MS = 250;
const HOLDER = join(import.meta.dirname, 'crashing-holder.ts');

/** A caller that waited; its moments are on this process's monotonic clock. */
export interface Served {
  readonly name: string;
  readonly token: bigint;
  readonly grantedMs: number;
  releasedMs: number;
}

export interface QueueRecord {
  /** The callers in the order in which they entered the queue. */
  readonly arrived: readonly string[];
  /** The callers in the order of their grants. */
  readonly served: readonly Served[];
  readonly crashedToken: bigint;
  readonly killedMs: number;
}

export interface QueueServer {
  readonly server: ServerProcess;
  readonly client: TestClient;
}

/** Expects servers that grant. The waiters are spread over them; the queue is in Redis, the same for all. */
export async function playQueue(
  servers: readonly QueueServer[],
  waiterCount: number,
  timeline: Timeline,
): Promise<QueueRecord> {
  const [first] = servers;
  if (!first) throw new Error('a queue needs a server');
  const holder = fork(HOLDER, [formatHostPort(first.server.address), RESOURCE, String(TTL_MS)]);
  const pid = holder.pid ?? 0;
  guardFromOrphaning('pid', pid);
  const [said] = (await once(holder, 'message')) as [string]; // It sends only this text.
  const crashedToken = BigInt(said.replace('held ', ''));
  timeline.say('crasher', `holds ${RESOURCE}: token ${crashedToken}, TTL ${TTL_MS / 1_000} s`, 'green');

  const served: Served[] = [];
  const arrived: string[] = [];
  const turns: Promise<void>[] = [];
  for (let i = 0; i < waiterCount; i++) {
    const name = `caller-${i + 1}`;
    const { client } = servers[i % servers.length] ?? first;
    const stream = hold(
      client,
      { resource: RESOURCE, owner: name, ttl: duration(TTL_MS) },
      { $case: 'waitForever', value: true },
    );
    const granted = new Promise<{ one: Served; leaseId: string }>((resolve) => {
      stream.call.on('data', ({ event, leaseId }) => {
        if (event?.$case !== 'granted') return;
        const one = { name, token: event.value.fencingToken, grantedMs: performance.now(), releasedMs: 0 };
        served.push(one);
        resolve({ one, leaseId });
      });
    });
    const work = async (from: TestClient, leaseId: string, one: Served): Promise<void> => {
      timeline.say(name, `holds it: token ${one.token}`, 'green');
      await sleep(WORK_MS);
      stream.call.cancel();
      one.releasedMs = performance.now();
      await from.release({ resource: RESOURCE, leaseId });
    };
    const { position } = await stream.event('queued'); // The caller is in the queue before the next one comes.
    arrived.push(name);
    timeline.say(name, `waits, position ${position}`);
    const turn = granted.then(({ one, leaseId }) => work(client, leaseId, one));
    void turn.catch(() => undefined); // Awaited below; until then a failure must not end the process.
    turns.push(turn);
  }
  timeline.say('crasher', 'SIGKILL: nobody says goodbye', ['bold', 'red']);
  const killedMs = performance.now();
  holder.kill('SIGKILL');
  await once(holder, 'close');
  releaseFromGuard('pid', pid);
  await Promise.all(turns);
  return { arrived, served, crashedToken, killedMs };
}

/** Whether they were served in the order of arrival, each with a larger token than the one before. */
export function isInOrder({ arrived, served, crashedToken }: QueueRecord): boolean {
  const tokens = [crashedToken, ...served.map(({ token }) => token)];
  const grows = tokens.every((token, i) => i === 0 || token > (tokens[i - 1] ?? 0n));
  return grows && served.map(({ name }) => name).join() === arrived.join();
}

/** For each hand-over, the milliseconds from the call of Release to the next caller's grant. */
export function handOversMs({ served }: QueueRecord): number[] {
  return served.slice(1).map(({ grantedMs }, i) => grantedMs - (served[i]?.releasedMs ?? grantedMs));
}
