// Callers that keep the deployment of `npm run demo -- --stay` a little busy: queues of different lengths, two owners
// that wait for each other now and then, and operations with their workers. They go on through failovers, and end when
// they are told to.
import { type Client, ContendedError, createClient, UnavailableError } from '../../src/client/client.ts';
import { between, pause } from './spans-of-time.ts';

interface Queue {
  readonly resource: string;
  readonly callers: number;
  readonly holdMs: readonly [least: number, most: number];
}

/** How many callers each resource has, and how long each of them holds it. The first one is the most contended. */
const QUEUES: readonly Queue[] = [
  { resource: 'billing/nightly', callers: 5, holdMs: [2_000, 4_000] },
  { resource: 'billing/invoice-7', callers: 3, holdMs: [500, 1_500] },
  { resource: 'mail/outbox', callers: 2, holdMs: [200, 600] },
];
const BETWEEN_HOLDS_MS = 300;
/** Two owners take these two in opposite orders, and give up after this wait. */
const CROSSED = ['ledger/accounts', 'ledger/entries'] as const;
const CROSSED_WAIT_MS = 15_000;
const BETWEEN_CROSSINGS_MS = 5_000;
const OPERATION_EVERY_MS = 1_500;
const OPERATION_MS = [1_000, 4_000] as const;
const RETENTION_MS = 60_000;
const AFTER_TROUBLE_MS = 500;

export interface Traffic {
  stop(): Promise<void>;
}

export function startTraffic(addresses: readonly string[]): Traffic {
  const client = createClient({ addresses });
  const stopping = new AbortController();
  const { signal } = stopping;
  const loops = [
    ...QUEUES.flatMap(({ resource, callers, holdMs }) =>
      Array.from({ length: callers }, (_, index) =>
        repeat(signal, async () => {
          const options = { owner: `caller-${index + 1}`, signal, waitMs: Number.POSITIVE_INFINITY };
          await client.withLock(resource, () => pause(between(...holdMs), signal), options);
          await pause(BETWEEN_HOLDS_MS, signal);
        }),
      ),
    ),
    repeat(signal, () => cross(client, signal)),
    ...runOperations(client, signal),
  ];
  return {
    async stop() {
      stopping.abort();
      await Promise.all(loops);
      client.close();
    },
  };
}

async function cross(client: Client, signal: AbortSignal): Promise<void> {
  const [first, second] = CROSSED;
  const take = (owner: string, one: string, other: string): Promise<void> =>
    client.withLock(
      one,
      async () => {
        await pause(1_000, signal); // Now each of them holds one.
        const options = { owner, signal, waitMs: CROSSED_WAIT_MS };
        await client.withLock(other, () => undefined, options).catch(passing);
      },
      { owner, signal },
    );
  await Promise.all([take('alice', first, second), take('bob', second, first)]);
  await pause(BETWEEN_CROSSINGS_MS, signal);
}

function runOperations(client: Client, signal: AbortSignal): Promise<void>[] {
  const workers = ['worker-1', 'worker-2'].map((owner) =>
    client.operations
      .worker({
        types: 'report',
        owner,
        signal,
        graceMs: 0,
        onError: () => undefined, // It tries again by itself.
        handler: async ({ progress, signal: over }) => {
          await pause(between(...OPERATION_MS), over);
          over.throwIfAborted();
          await progress({ done: '50 %' });
          await pause(between(...OPERATION_MS), over);
          over.throwIfAborted();
          return { pages: 12 };
        },
      })
      .finished.catch(passing),
  );
  let count = 0;
  const beginning = repeat(signal, async () => {
    count++;
    await client.operations.begin('reports/monthly', `run-${count}`, {
      type: 'report',
      retentionMs: RETENTION_MS,
      signal,
    });
    await pause(OPERATION_EVERY_MS, signal);
  });
  return [...workers, beginning];
}

/** Goes on after what passes: a failover, a wait that was too long. */
async function repeat(signal: AbortSignal, once: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await once();
    } catch (error) {
      if (signal.aborted) return;
      passing(error);
      await pause(AFTER_TROUBLE_MS, signal);
    }
  }
}

function passing(error: unknown): void {
  const passes =
    error instanceof ContendedError || error instanceof UnavailableError || isLoss(error) || isAbort(error);
  if (!passes) throw error;
}

function isLoss(error: unknown): boolean {
  return error instanceof Error && ['LeaseLostError', 'NotHeldError'].includes(error.name);
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
