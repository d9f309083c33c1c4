// A worker as a process of its own, for tests that kill or freeze it. It claims one operation, keeps it alive by a
// stream, does its 20 steps from where the record says that it stopped, and prints each event on a line of its own.
//
//   node test/support/job-worker.ts <host:port> <type> <milliseconds per step>

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { AttemptLostReason } from '../../generated/leasehold/v1/operation_store_service.ts';
import { CallError } from '../../src/client/core/call-error.ts';
import { type HeldAttempt, held, OperationClient, payload } from './operation-client.ts';
import { duration } from './test-instance.ts';

const STEPS = 20;
const [address = '', type = '', stepMs = '100'] = process.argv.slice(2);
const [host = '', port = ''] = address.split(':');
const client = new OperationClient({ host, port: Number(port) });
const tell = (line: string): unknown => process.stdout.write(`${line}\n`);

/** Resolves when the attempt is lost; opens the stream again when it breaks. */
async function keepAlive(attempt: HeldAttempt): Promise<string> {
  for (;;) {
    const stream = client.keepAlive(attempt);
    await stream.ended(600_000);
    const [lost] = stream.all('lost');
    const name = Object.entries(AttemptLostReason).find(([, value]) => value === lost?.reason)?.[0];
    if (name) return name.replace('ATTEMPT_LOST_REASON_', '');
    await sleep(100);
  }
}

/** Repeats a call for as long as the server can't be reached; its ids make that safe. */
async function repeated<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof CallError) || error.code !== status.UNAVAILABLE) throw error;
      await sleep(200);
    }
  }
}

async function claimed() {
  const claim = { types: [type], waitTimeout: duration(60_000), owner: String(process.pid) };
  for (;;) {
    const request = { ...claim, claimId: randomUUID() };
    const [found] = (await repeated(() => client.claim(request, { timeoutMs: 70_000 }))).claimed;
    if (found) return found;
  }
}

const { operation, attempt: running } = await claimed();
const attempt = held({ operation, attempt: running });
const done = Number(operation?.progress?.value.toString() ?? '0');
tell(`claimed attempt ${operation?.attemptNumber} after step ${done}`);
const lost = keepAlive(attempt);
try {
  for (let step = done + 1; step <= STEPS; step++) {
    await sleep(Number(stepMs));
    const update = { ...attempt, progress: payload(String(step)), requestId: randomUUID() };
    await repeated(() => client.update(update));
    tell(`step ${step}`);
  }
  const requestId = randomUUID();
  await repeated(() => client.complete({ ...attempt, requestId }));
  tell('completed');
} catch (error) {
  tell(`refused: ${error instanceof CallError ? error.reason : String(error)}`);
  tell(`lost: ${await lost}`);
}
process.exit(0);
