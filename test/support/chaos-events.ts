// Writes small histories of chaos runs for the tests of the checker. What doesn't matter to a test gets a value that
// breaks nothing. Moments are in seconds here, since milliseconds are hard to read.

import { leaseIdHash } from '../../src/domain/lock.ts';
import type {
  Believed,
  CallBegan,
  CallEnded,
  Event,
  Fault,
  Leftovers,
  LockRequest,
  OperationRequest,
  OperationState,
  Outcome,
  Pulse,
  RunBegan,
  SeenRegistry,
  Written,
} from '../chaos/history.ts';

export function runBegan(change: Partial<RunBegan> = {}): Event {
  const terms = { seed: 1, mode: 'safety', mutant: '', maxTtlMs: 6_000, quarantineMs: 10_000 } as const;
  return { kind: 'run-began', atMs: 0, ...terms, commandTimeoutMs: 1_000, minAcks: 1, ...change };
}

export function believed(from: number, until: number, token: number, change: Partial<Believed> = {}): Event {
  return {
    kind: 'believed',
    atMs: from * 1_000,
    untilMs: until * 1_000,
    by: `client-${token}`,
    resource: 'r',
    leaseId: `lease-${token}`,
    token: String(token),
    mode: 'exclusive',
    of: 'lock',
    ...change,
  };
}

export function beliefEnded(at: number, token: number, why = 'released', resource = 'r'): Event {
  const who = { by: `client-${token}`, resource, leaseId: `lease-${token}` };
  return { kind: 'belief-ended', atMs: at * 1_000, ...who, why };
}

export function written(at: number, token: number, change: Partial<Written> = {}): Event {
  return {
    kind: 'written',
    atMs: at * 1_000,
    resource: 'r',
    token: String(token),
    by: `client-${token}`,
    lookedAtMs: at * 1_000,
    believedUntilMs: at * 1_000 + 5_000,
    accepted: true,
    highest: '0',
    ...change,
  };
}

export function reign(at: number, name: string, change: Partial<Pulse> = {}): Event {
  const pulse = { server: 'server-1', serving: true, epoch: 1, quarantineMs: 0 };
  return { kind: 'pulse', atMs: at * 1_000, ...pulse, reign: name, ...change };
}

/** A fault from one moment to another; Infinity means that it stays. */
export function fault(from: number, to: number, targets: string[], change: Partial<Fault> = {}): Event[] {
  const id = from * 1_000 + to;
  const common = { kind: 'fault', id, fault: 'kill', targets, detail: 'as planned', ...change } as const;
  const began: Event = { ...common, phase: 'began', atMs: from * 1_000 };
  return to === Number.POSITIVE_INFINITY
    ? [began]
    : [began, { ...common, phase: 'healed', atMs: to * 1_000 }];
}

type Ended = Partial<
  Pick<CallEnded, 'outcome' | 'reason' | 'lease' | 'leases' | 'operation' | 'operations' | 'said'>
>;

interface CallTold extends Partial<Omit<CallBegan, 'lock' | 'operation'>>, Ended {
  readonly asked?: Pick<CallBegan, 'lock' | 'locks' | 'operation'>;
}

let calls = 0;

/** A call from one moment to another; Infinity means that nobody saw its end. */
export function call(rpc: string, from: number, to: number, told: CallTold = {}): Event[] {
  const { by = 'client-1', call: name = `${by}/${++calls}`, deadlineMs = (from + 60) * 1_000 } = told;
  const { asked = {}, outcome = 'ok', reason = '', lease, leases, operation, operations, said } = told;
  const began: Event = { kind: 'call-began', atMs: from * 1_000, by, call: name, rpc, deadlineMs, ...asked };
  if (to === Number.POSITIVE_INFINITY) return [began];
  const answer = {
    ...(lease && { lease }),
    ...(leases && { leases }),
    ...(operation && { operation }),
    ...(operations && { operations }),
    ...(said && { said }),
  };
  return [began, { kind: 'call-ended', atMs: to * 1_000, by, call: name, outcome, reason, ...answer }];
}

export function lockAsked(leaseId: string, change: Partial<LockRequest> = {}): { lock: LockRequest } {
  return { lock: { resource: 'r', leaseId, mode: 'exclusive', ttlMs: 5_000, waitMs: 0, ...change } };
}

/** An Acquire or Hold that was granted, or, with token 0, was not. */
export function acquire(from: number, to: number, token: number, change: CallTold = {}): Event[] {
  const outcome: Outcome = token === 0 ? 'failed' : 'ok';
  const lease = token === 0 ? {} : { lease: { token: String(token), validForMs: 5_000 } };
  const by = `client-${token}`;
  return call('Hold', from, to, { by, asked: lockAsked(`lease-${token}`), outcome, ...lease, ...change });
}

export function queued(at: number, name: string, change: { leaseId?: string; by?: string } = {}): Event {
  const who = { by: name.split('/')[0] ?? '', call: name, resource: 'r', leaseId: 'lease-1', position: 1 };
  return { kind: 'queued', atMs: at * 1_000, ...who, ...change };
}

/** "RUNNING 3 2 value": state, version, attempt, value. */
export function record(text: string): OperationState {
  const [state = '', version = '0', attempt = '0', value] = text.split(' ');
  const shown = { operationId: 'o', state, version, attempt: Number(attempt) };
  return value === undefined ? shown : { ...shown, value };
}

/** A call about the record r/o. `shown` is as for record(); '' means that the outcome is unknown. */
export function operationCall(
  rpc: string,
  from: number,
  to: number,
  shown: string,
  request: Partial<OperationRequest> = {},
  told: CallTold = {},
): Event[] {
  const asked = { operation: { resource: 'r', operationId: 'o', ...request } };
  const answer: CallTold = shown === '' ? { outcome: 'unknown' } : { operation: record(shown) };
  return call(rpc, from, to, { asked, ...answer, ...told });
}

export function leftovers(change: Partial<Leftovers> = {}): Event {
  const nothing = { waitingCalls: 0, keptLeases: 0, watches: 0, openCalls: 0, rssBytes: 100_000_000 };
  return { kind: 'leftovers', atMs: 90_000, server: 'server-1', ...nothing, ...change };
}

/** What a primary holds; the clocks of the leases and of the run are one here. */
export function seenRegistry(at: number, change: Partial<SeenRegistry> = {}): Event {
  const times = {
    clock: at * 1_000,
    quarantineUntil: at * 1_000,
    fullUntil: at * 1_000,
    floor: 0,
    lapsedBefore: 0,
  };
  return {
    kind: 'seen-registry',
    atMs: at * 1_000,
    askedMs: at * 1_000 - 1,
    node: 'node-1',
    role: 'master',
    reign: '1:a',
    epoch: '1',
    isFresh: true,
    entries: { x: '1', y: '1' },
    ...times,
    ...change,
  };
}

/** A look at all locks of server-1, which shows these leases. */
export function looked(at: number, ...tokens: readonly number[]): Event[] {
  const moment = { atMs: at * 1_000, askedMs: at * 1_000 - 1, server: 'server-1' };
  return [
    { kind: 'looked', ...moment, holders: tokens.length, putBack: 0 },
    ...tokens.map(
      (token): Event => ({
        ...{ kind: 'seen-held', ...moment, resource: 'r', token: String(token) },
        leaseHash: leaseIdHash(`lease-${token}`),
      }),
    ),
  ];
}
