// Judges promise 5 for locks: a lease that was given up and released stays released. Once all calls that asked for a
// lease_id have been over for as long as a command lives, and a Release of it is answered after that, that lease is not
// seen again for a while, as long as the same primary rules and nobody asks for it.
//
// Caught: an Acquire hangs on its way to the primary. The caller hears that the outcome is unknown, waits, and releases
// through another instance. Then the Acquire arrives, and runs (no not_after). Nobody knows of that lease, and its
// resource is taken for a whole TTL.

import { leaseIdHash } from '../../../src/domain/lock.ts';
import { type Call, grouped, type Run } from './recorded-run.ts';
import { Finder, type Findings, seconds } from './verdict.ts';

const GRANTING = ['Acquire', 'AcquireMany', 'Hold'];
/** Faults under which a command lives longer, because its end is a moment of Redis's clock. */
const MOVES_CLOCKS = /clock|skew|ahead/;

interface Ended {
  readonly resource: string;
  readonly leaseId: string;
  /** When the Release was sent, and when it was answered. */
  readonly sentMs: number;
  readonly answeredMs: number;
  readonly by: string;
}

export function checkGhosts(run: Run): Findings {
  const finder = new Finder('ghosts');
  const looks = grouped(run.of('seen-held'), ({ resource, leaseHash }) => keyOf(resource, leaseHash));
  const asked = askedOf(run);
  const { commandTimeoutMs = 0 } = run.terms ?? {};
  const told = new Set<string>();
  for (const ended of releases(run)) {
    const key = keyOf(ended.resource, leaseIdHash(ended.leaseId));
    const calls = asked.get(key) ?? [];
    if (calls.length === 0 || !isGivenUp(run, calls, ended)) continue;
    finder.count('leases given up and released');
    const seen = looks.get(key)?.filter(({ askedMs, atMs }) => {
      return askedMs > ended.answeredMs && isOneReign(run, ended.sentMs, atMs);
    });
    const [first, last] = [seen?.[0], seen?.at(-1)];
    if (!first || !last || told.has(key)) continue;
    // A request may reach its server after its caller has gone; the server gives the lease back as soon as it notices.
    if (last.askedMs - first.atMs < commandTimeoutMs) continue;
    told.add(key);
    const what = `${ended.resource}: ${ended.leaseId} of ${ended.by} was released`;
    const when = `${seconds(first.askedMs - ended.answeredMs)} after the answer it was there, with token ${first.token}`;
    finder.violation(
      last.atMs,
      `${what}, and ${when} (told by ${first.server}, reign ${run.reignAt(first.atMs)})`,
    );
  }
  return finder.findings();
}

/** The calls that may have made a lease with this id, by resource and hash. */
function askedOf(run: Run): Map<string, Call[]> {
  const asked = run.calls
    .filter(({ began }) => GRANTING.includes(began.rpc))
    .flatMap((call) => {
      const locks = call.began.locks ?? (call.began.lock ? [call.began.lock] : []);
      return locks.map(({ resource, leaseId }) => ({ call, key: keyOf(resource, leaseIdHash(leaseId)) }));
    });
  return new Map(
    [...grouped(asked, ({ key }) => key)].map(([key, list]) => [key, list.map(({ call }) => call)]),
  );
}

function releases(run: Run): Ended[] {
  return run.calls.flatMap(({ began, ended }) => {
    if (began.rpc !== 'Release' || !began.lock || ended?.outcome !== 'ok') return [];
    const { resource, leaseId } = began.lock;
    return [{ resource, leaseId, sentMs: began.atMs, answeredMs: ended.atMs, by: began.by }];
  });
}

/** Whether no call for this lease can be under way any more when the Release is sent. */
function isGivenUp(run: Run, calls: readonly Call[], { sentMs }: Ended): boolean {
  const { commandTimeoutMs = 0 } = run.terms ?? {};
  const fromMs = Math.min(...calls.map(({ began }) => began.atMs));
  const areClocksMoved = run.faults.some(({ began, healedMs }) => {
    return MOVES_CLOCKS.test(began.step ?? began.fault) && began.atMs <= sentMs && healedMs >= fromMs;
  });
  if (areClocksMoved) return false;
  return calls.every(({ began, ended }) => {
    if (!ended || run.pausedMs(began.by, began.atMs, sentMs) > 0) return false;
    // A wait that was broken off may go on in its server until the server is told, and may ask again.
    const waits = (began.locks ?? (began.lock ? [began.lock] : [])).some(({ waitMs }) => waitMs > 0);
    return ended.atMs + commandTimeoutMs <= sentMs && (ended.outcome === 'ok' || !waits);
  });
}

/** A failover may bring back what the old primary had released. */
function isOneReign(run: Run, fromMs: number, toMs: number): boolean {
  const before = run.reigns.filter(({ atMs }) => atMs <= fromMs).length;
  return run.reigns.filter(({ atMs }) => atMs <= toMs).length === before;
}

function keyOf(resource: string, leaseHash: string): string {
  return JSON.stringify([resource, leaseHash]);
}
