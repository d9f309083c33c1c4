// Judges promise 2 where tokens are given: a token names one grant; a lease_id (and a claim_id in its operation) gets
// one token; and a grant that was requested after another one had been received has the larger token, whatever reigns
// lay between them.
//
// Caught: token 7 is granted and lost with the primary, whose replica has counted to 6 and grants 7 to somebody else
// (counter-only tokens); the clock of the new primary runs behind, and it takes its tokens from the clock alone; a
// repeat after a lost reply makes a second lease under the same lease_id.

import { grouped, type Run } from './recorded-run.ts';
import { Finder, type Findings } from './verdict.ts';

export interface Grant {
  readonly of: 'lock' | 'attempt';
  /** For an attempt: `resource/operation_id`. */
  readonly resource: string;
  /** For an attempt: its claim_id. */
  readonly leaseId: string;
  readonly token: bigint;
  readonly by: string;
  /** When it was first requested. */
  readonly askedMs: number;
  /** When a client first heard of it. */
  readonly receivedMs: number;
  /** Until when it was valid at least, by everything that was said about it. */
  readonly validUntilMs: number;
}

/** Every (resource, lease_id, token) that any client was told, once each, in the order in which they were received. */
export function grantsOf(run: Run): Grant[] {
  const asked = new Map<string, number>();
  for (const { began } of run.calls) {
    for (const { resource, leaseId } of began.locks ?? (began.lock ? [began.lock] : [])) {
      noteFirst(asked, JSON.stringify(['lock', resource, leaseId]), began.atMs);
    }
    // The request of a claim does not name what it finds: only the claim_id says when the attempt was requested.
    const claimId = began.operation?.claimId;
    if (claimId !== undefined) noteFirst(asked, JSON.stringify(['attempt', claimId]), began.atMs);
  }
  // The lease of an attempt has the claim_id as its lease_id, and no call of its own.
  const askedAt = ({ of, resource, leaseId, receivedMs }: Told): number =>
    (of === 'lock' ? asked.get(JSON.stringify([of, resource, leaseId])) : undefined) ??
    asked.get(JSON.stringify(['attempt', leaseId])) ??
    receivedMs;
  const told = [...toldByEvents(run), ...toldByAnswers(run)].toSorted((a, b) => a.receivedMs - b.receivedMs);
  const grants = grouped(told, ({ of, resource, leaseId, token }) =>
    JSON.stringify([of, resource, leaseId, String(token)]),
  );
  return [...grants.values()].flatMap((all): Grant[] => {
    const [first] = all;
    const validUntilMs = Math.max(...all.map((one) => one.validUntilMs));
    return first ? [{ ...first, askedMs: askedAt(first), validUntilMs }] : [];
  });
}

export function checkGrants(run: Run): Findings {
  const finder = new Finder('tokens');
  for (const grants of grouped(grantsOf(run), ({ of, resource }) => `${of} ${resource}`).values()) {
    for (const same of grouped(grants, ({ token }) => String(token)).values()) {
      const [first, second] = same;
      if (first && second) {
        const text = `${nameOf(first)}: token ${first.token} was given to ${first.by} and again to ${second.by}`;
        finder.violation(second.receivedMs, `${text}, under another id`);
      }
    }
    for (const same of grouped(grants, ({ leaseId }) => leaseId).values()) {
      const [first, second] = same;
      // The id of a lease that has lapsed is forgotten: a caller that comes late with it asks for a new lease.
      const isOver = first?.of === 'lock' && second && second.receivedMs > first.validUntilMs;
      if (first && second && !isOver) {
        const text = `${nameOf(first)}: ${first.leaseId} of ${first.by} got token ${first.token}`;
        finder.violation(second.receivedMs, `${text} and a second one, ${second.token}`);
      }
    }
    checkOrder(run, grants, finder);
    finder.count('grants', grants.length);
  }
  return finder.findings();
}

function checkOrder(run: Run, received: readonly Grant[], finder: Finder): void {
  let largest: Grant | undefined;
  let next = 0;
  for (const grant of received.toSorted((a, b) => a.askedMs - b.askedMs)) {
    for (; (received[next]?.receivedMs ?? Number.POSITIVE_INFINITY) < grant.askedMs; next++) {
      const before = received[next];
      if (before && (!largest || before.token > largest.token)) largest = before;
    }
    if (!largest || grant.token >= largest.token) continue;
    const reigns = `reigns ${run.reignAt(largest.receivedMs)} and ${run.reignAt(grant.receivedMs)}`;
    const text = `${nameOf(grant)}: ${grant.by} asked after token ${largest.token} was out, and got ${grant.token}`;
    finder.violation(grant.receivedMs, `${text} (${reigns})`);
  }
}

type Told = Omit<Grant, 'askedMs'>;

function toldByEvents(run: Run): Told[] {
  return run.of('believed').map(({ of, resource, leaseId, token, by, atMs, untilMs }) => ({
    ...{ of, resource, leaseId, by },
    token: BigInt(token),
    receivedMs: atMs,
    validUntilMs: untilMs,
  }));
}

/** The answers of calls that grant. Those of renewals say nothing new, but must name the same token. */
function toldByAnswers(run: Run): Told[] {
  return run.calls.flatMap(({ began, ended }) => {
    if (ended?.outcome !== 'ok') return [];
    const locks = began.locks ?? (began.lock ? [began.lock] : []);
    const leases = ended.leases ?? (ended.lease ? [ended.lease] : []);
    return locks.flatMap(({ resource, leaseId }, index): Told[] => {
      const lease = leases[index];
      if (!lease) return [];
      const times = { receivedMs: ended.atMs, validUntilMs: began.atMs + lease.validForMs };
      return [{ of: 'lock', resource, leaseId, by: began.by, token: BigInt(lease.token), ...times }];
    });
  });
}

function noteFirst(moments: Map<string, number>, key: string, atMs: number): void {
  if (!moments.has(key)) moments.set(key, atMs);
}

function nameOf({ of, resource }: Grant): string {
  return of === 'lock' ? resource : `attempts of ${resource}`;
}
