// The runner of the conformance script in TypeScript, on the client core (src/client). Verbs to calls and back, nothing
// else; the core has no operations and takes one resource at a time, so it lacks those verbs.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { credentials, status } from '@grpc/grpc-js';
import { LostReason } from '../../generated/leasehold/v1/lease_events.ts';
import { CallError, localError } from '../../src/client/call-error.ts';
import { Channel } from '../../src/client/channel.ts';
import type { HeldLease } from '../../src/client/held-lease.ts';
import { hold } from '../../src/client/hold.ts';
import { systemClock } from '../../src/domain/clock.ts';

const SECOND_MS = 1_000;

interface Kept {
  readonly lease: HeldLease;
  /** Why it was lost; null while it is not. */
  lost: string | null;
}

/** As scripts/test-clients/play.ts sends them. */
interface Args {
  readonly as: string;
  readonly client: string;
  readonly lease: string;
  readonly addresses: readonly string[];
  readonly token?: string;
  readonly ca?: string;
  readonly resource: string;
  readonly ttl: number;
  readonly wait?: number;
  readonly timeout?: number;
  readonly owner?: string;
  readonly shared?: boolean;
  readonly permits?: number;
  readonly limit?: number;
  readonly lease_id?: string;
}

const channels = new Map<string, Channel>();
const leases = new Map<string, Kept>();

const VERBS: Readonly<Record<string, (args: Args) => object | Promise<object>>> = {
  verbs: () => ({ verbs: Object.keys(VERBS) }),

  connect({ as, addresses, token, ca }) {
    channels.get(as)?.close();
    const channel = new Channel({
      addresses,
      credentials: ca === undefined ? credentials.createInsecure() : credentials.createSsl(readFileSync(ca)),
      ...(token === undefined ? {} : { token }),
      clock: systemClock,
      random: Math.random,
    });
    channels.set(as, channel);
    return {};
  },

  async lock(args) {
    const { as, resource, ttl, wait = 0, timeout, owner = '', shared, permits, limit, lease_id } = args;
    const seconds = BigInt(Math.floor(ttl));
    const spec = {
      resource,
      leaseId: lease_id ?? randomUUID(),
      owner,
      ttl: { seconds, nanos: Math.round((ttl % 1) * 1e9) },
      mode: modeOf(shared, permits, limit),
    };
    let lost: string | null = null;
    const giveUp = new AbortController();
    const timer = timeout === undefined ? undefined : setTimeout(() => giveUp.abort(), timeout * SECOND_MS);
    const lease = await hold(channelOf(args), {
      spec,
      waitMs: wait * SECOND_MS,
      signal: giveUp.signal,
      observer(event) {
        if (event.kind === 'lost') lost = event.reason === undefined ? 'DEADLINE' : reasonName(event.reason);
      },
    }).catch((error: unknown) => {
      throw giveUp.signal.aborted ? localError(status.DEADLINE_EXCEEDED, 'no answer in time') : error;
    });
    clearTimeout(timer);
    const kept = {
      lease,
      get lost() {
        return lost;
      },
    };
    if (as !== undefined) leases.set(as, kept);
    const remaining = lease.remainingMs() / SECOND_MS;
    return { fencing_token: Number(lease.fencingToken), lease_id: lease.leaseId, remaining };
  },

  lease(args) {
    const { lease, lost } = leaseOf(args);
    return { held: lease.state === 'held', remaining: lease.remainingMs() / SECOND_MS, lost };
  },

  async loss(args) {
    const kept = leaseOf(args);
    const askedMs = performance.now();
    if (!kept.lease.signal.aborted) await once(kept.lease.signal, 'abort');
    return { lost: kept.lost, after: (performance.now() - askedMs) / SECOND_MS };
  },

  check(args) {
    const { lease, lost } = leaseOf(args);
    if (lease.state === 'held') return {};
    throw Object.assign(localError(status.ABORTED, `the lease is over: ${lost}`), { reason: 'LEASE_LOST' });
  },

  async release(args) {
    return { released: await leaseOf(args).lease.release() };
  },

  close(args) {
    channelOf(args).close();
    return {};
  },
};

function modeOf(shared?: boolean, permits?: number, limit = 0): Parameters<typeof hold>[1]['spec']['mode'] {
  if (shared) return { $case: 'shared', value: {} };
  return permits === undefined ? undefined : { $case: 'permits', value: { permits, limit } };
}

function reasonName(reason: number): string {
  const [name = ''] = Object.entries(LostReason).find(([, value]) => value === reason) ?? [];
  return name.replace('LOST_REASON_', '');
}

function channelOf({ client }: Args): Channel {
  const channel = channels.get(client);
  if (!channel) throw new Error(`no client ${client}`);
  return channel;
}

function leaseOf({ lease }: Args): Kept {
  const kept = leases.get(lease);
  if (!kept) throw new Error(`no lease ${lease}`);
  return kept;
}

function told(error: unknown): object {
  if (!(error instanceof CallError)) return { code: 'UNKNOWN', message: String(error) };
  return {
    code: status[error.code],
    reason: error.reason,
    message: error.message,
    holders: error.contention?.holders.map(({ owner }) => owner) ?? [],
    fields: error.violations.map(({ field }) => field),
  };
}

async function answer(line: string): Promise<void> {
  // Written by play.ts, whose form README.md beside the scenarios tells.
  const { id, verb, args } = JSON.parse(line) as { id: number; verb: string; args: Args };
  const say = (answered: object): boolean => process.stdout.write(`${JSON.stringify({ id, ...answered })}\n`);
  const act = VERBS[verb];
  if (!act) throw new Error(`no verb ${verb}`);
  try {
    say({ ok: await act(args) });
  } catch (error) {
    say({ error: told(error) });
  }
}

for await (const line of createInterface(process.stdin)) void answer(line);
for (const channel of channels.values()) channel.close();
