// Judges FIFO within a reign: a caller that asked for an exclusive lease after another caller had been told its
// position in the queue is granted after it.
//
// Caught: a release that grants the next caller that asks, before the queue is looked at; a hand-over that takes the
// newest waiter; a refresh that puts a waiter at the tail again.
//
// Only undisturbed pairs are judged: both were granted by the call that queued, there was no fault and no stall of a
// server (which would be passed over as absent, rightly) between the place and the grants, and one reign lasted all the
// time.

import { type Call, type EventOf, grouped, type Run } from './recorded-run.ts';
import { Finder, type Findings } from './verdict.ts';

/** A server that is silent for this long was stopped, or its machine is too busy to keep an offer window. */
const STALL_MS = 700;

interface Turn {
  readonly call: string;
  readonly by: string;
  readonly askedMs: number;
  /** Infinity means that it was never told a position. */
  readonly queuedMs: number;
  readonly grantedMs: number;
  readonly token: bigint;
}

export function checkQueueOrder(run: Run): Findings {
  const finder = new Finder('queue order');
  const stalls = stallsOf(run);
  for (const [resource, turns] of turnsByResource(run)) {
    for (const first of turns) {
      for (const second of turns) {
        if (second.askedMs <= first.queuedMs || second.askedMs >= first.grantedMs) continue;
        const toMs = Math.max(first.grantedMs, second.grantedMs);
        if (isDisturbed(run, stalls, first.queuedMs, toMs)) continue;
        finder.count('pairs in a queue');
        if (first.token < second.token) continue;
        const text = `${resource}: ${second.call} of ${second.by} got token ${second.token}`;
        finder.violation(
          toMs,
          `${text} before ${first.call} of ${first.by}, which had a position, got ${first.token}`,
        );
      }
    }
  }
  return finder.findings();
}

function turnsByResource(run: Run): Map<string, Turn[]> {
  const queued = grouped(run.of('queued'), ({ call }) => call);
  const noted = grouped(run.of('noted'), ({ by, resource }) => JSON.stringify([by, resource]));
  const exclusive = run.calls.filter(({ began }) => began.lock?.mode === 'exclusive');
  const byResource = grouped(exclusive, ({ began }) => began.lock?.resource ?? '');
  return new Map(
    [...byResource].map(([resource, calls]) => [
      resource,
      [...grouped(calls, ({ began }) => began.lock?.leaseId ?? '').values()].flatMap((own) => {
        // A lease_id that asked twice has changed places by its own doing.
        const asking = own.filter(({ began }) => began.rpc === 'Acquire' || began.rpc === 'Hold');
        const [call] = asking;
        if (!call || asking.length > 1) return [];
        const events = noted.get(JSON.stringify([call.began.by, resource])) ?? [];
        return turnOf(call, events, queued.get(call.began.call)?.[0]?.atMs);
      }),
    ]),
  );
}

/** Undefined where it was not granted, or where its client `noted` something about the resource in between. */
function turnOf(
  { began, ended }: Call,
  noted: readonly EventOf<'noted'>[],
  queuedMs = Number.POSITIVE_INFINITY,
): Turn[] {
  if (ended?.outcome !== 'ok' || !ended.lease) return [];
  const { call, by, atMs: askedMs } = began;
  if (noted.some(({ atMs }) => atMs >= askedMs && atMs <= ended.atMs)) return [];
  return [{ call, by, askedMs, queuedMs, grantedMs: ended.atMs, token: BigInt(ended.lease.token) }];
}

function isDisturbed(run: Run, stalls: readonly number[], fromMs: number, toMs: number): boolean {
  const isNewReign = run.reigns.some(({ atMs }) => atMs > fromMs && atMs <= toMs);
  return (
    isNewReign ||
    run.wasDisturbed(fromMs, toMs) ||
    stalls.some((atMs) => atMs >= fromMs && atMs <= toMs + STALL_MS)
  );
}

/** When a server was not serving, or had been silent for too long. */
function stallsOf(run: Run): number[] {
  return [...grouped(run.of('pulse'), ({ server }) => server).values()].flatMap((pulses) =>
    pulses
      .filter(({ serving, atMs }, index) => !serving || atMs - (pulses[index - 1]?.atMs ?? atMs) > STALL_MS)
      .map(({ atMs }) => atMs),
  );
}
