// The TypeScript runner of the conformance scenarios, on top of what users import as leasehold/client. It turns verbs
// into calls and answers into JSON, no more. clients/conformance/README.md explains the verbs.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { status } from '@grpc/grpc-js';
import {
  type AttemptContext,
  type Client,
  ContendedError,
  createClient,
  type ErrorReason,
  InvalidArgumentError,
  type Lease,
  LeaseholdError,
  LeaseLostError,
  type LeaseSet,
  type ModeOption,
  OperationEndedError,
  type Worker,
} from '../../src/client/client.ts';
import { CallError } from '../../src/client/core/call-error.ts';

const SECOND_MS = 1_000;

interface Plan {
  readonly hold?: boolean;
  readonly stubborn?: boolean;
  readonly error?: string;
  readonly result?: unknown;
}

/** What scripts/test-clients/play.ts sends. Each verb reads the arguments that the scenarios' README lists for it. */
interface Args {
  readonly as: string;
  readonly client: string;
  readonly lease: string;
  readonly run: string;
  readonly worker: string;
  readonly addresses: readonly string[];
  readonly token?: string;
  readonly ca?: string;
  readonly streams_per_connection?: number;
  readonly resource: string;
  readonly resources: readonly string[];
  readonly ttl: number;
  readonly wait?: number;
  readonly timeout?: number;
  readonly owner?: string;
  readonly shared?: boolean;
  readonly permits?: number;
  readonly limit?: number;
  readonly lease_id?: string;
  readonly operation_id: string;
  readonly type: string;
  readonly types: readonly string[];
  readonly data?: unknown;
  readonly heartbeat?: number;
  readonly lock_ttl?: number;
  readonly concurrency: number;
  readonly grace: number;
  readonly reason: string;
  readonly value: unknown;
  readonly work: Plan;
}

/** What the function of a run or worker does, according to the scenario. */
class PlannedWork {
  readonly begun = Promise.withResolvers<AttemptContext>();
  readonly mayGo = Promise.withResolvers<void>();
  ran = false;
  readonly #plan: Plan;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  readonly act = async (context: AttemptContext): Promise<unknown> => {
    const { hold, stubborn, error, result } = this.#plan;
    this.ran = true;
    this.begun.resolve(context);
    if (hold)
      await (stubborn ? this.mayGo.promise : Promise.race([this.mayGo.promise, told(context.signal)]));
    if (error !== undefined) throw new Error(error);
    return result;
  };
}

const clients = new Map<string, Client>();
const leases = new Map<string, Lease | LeaseSet>();
const works = new Map<string, PlannedWork>();
const workers = new Map<string, Worker>();

const VERBS: Readonly<Record<string, (args: Args) => object | Promise<object>>> = {
  verbs: () => ({ verbs: Object.keys(VERBS) }),

  connect({ as, addresses, token, ca, streams_per_connection: streamsPerConnection }) {
    const tls = ca === undefined ? undefined : { ca: readFileSync(ca, 'utf8') };
    clients.set(as, createClient({ addresses, token, tls, streamsPerConnection }));
    return {};
  },

  async lock(args) {
    const lease = await the(clients, args.client).acquire(args.resource, {
      ttlMs: args.ttl * SECOND_MS,
      waitMs: (args.wait ?? 0) * SECOND_MS,
      mode: modeOf(args),
      owner: args.owner,
      leaseId: args.lease_id,
      signal: args.timeout === undefined ? undefined : AbortSignal.timeout(args.timeout * SECOND_MS),
    });
    leases.set(args.as, lease);
    const { fencingToken, leaseId } = lease;
    return { fencing_token: Number(fencingToken), lease_id: leaseId, remaining: remaining(lease) };
  },

  async lock_many({ as, client, resources, ttl, wait = 0 }) {
    const options = { ttlMs: ttl * SECOND_MS, waitMs: wait * SECOND_MS };
    const several = await the(clients, client).acquireMany(resources, options);
    leases.set(as, several);
    return { fencing_tokens: several.leases.map(({ fencingToken }) => Number(fencingToken)) };
  },

  lease(args) {
    const lease = the(leases, args.lease);
    return { held: lease.remainingMs() > 0, remaining: remaining(lease), lost: lossOf(lease) };
  },

  async loss(args) {
    const askedMs = performance.now();
    const lease = the(leases, args.lease);
    if (!lease.signal.aborted) await once(lease.signal, 'abort');
    return { lost: lossOf(lease), after: (performance.now() - askedMs) / SECOND_MS };
  },

  check({ lease }) {
    the(leases, lease).assertHeld();
    return {};
  },

  /** A lease answers whether it was released, a set of leases how many of them were. */
  async release({ lease }) {
    return { released: Number(await the(leases, lease).release()) > 0 };
  },

  async run({ as, client, resource, operation_id, type, data, heartbeat, lock_ttl, wait, work: plan }) {
    const work = new PlannedWork(plan);
    works.set(as, work);
    const result = await the(clients, client).operations.run(resource, operation_id, work.act, {
      type,
      data,
      heartbeatTimeoutMs: msOf(heartbeat),
      lock: lock_ttl === undefined ? false : { ttlMs: lock_ttl * SECOND_MS },
      waitMs: msOf(wait),
    });
    return { result, ran: work.ran, attempt: work.ran ? (await work.begun.promise).attempt : 0 };
  },

  async attempt({ run }) {
    const { attempt, fencingToken, signal, remainingMs, data } = await the(works, run).begun.promise;
    return {
      number: attempt,
      fencing_token: Number(fencingToken),
      cancel_requested: signal.reason instanceof OperationEndedError,
      held: remainingMs() > 0,
      data,
    };
  },

  async progress({ run, value }) {
    const { progress } = await the(works, run).begun.promise;
    await progress(value);
    return {};
  },

  go_on({ run }) {
    the(works, run).mayGo.resolve();
    return {};
  },

  worker({ as, client, types, concurrency, work: plan }) {
    const work = new PlannedWork(plan);
    works.set(as, work);
    const { operations } = the(clients, client);
    const onError = (error: unknown): void => console.error(error);
    workers.set(as, operations.worker({ types, concurrency, handler: work.act, onError }));
    return {};
  },

  async stop_worker({ worker, grace }) {
    await the(workers, worker).stop({ graceMs: grace * SECOND_MS });
    return {};
  },

  async begin_operation({ client, resource, operation_id, type, data }) {
    await the(clients, client).operations.begin(resource, operation_id, { type, data });
    return {};
  },

  async get_operation({ client, resource, operation_id }) {
    const { operations } = the(clients, client);
    const { state, result, progress, attempt } = await operations.get(resource, operation_id);
    return { state: state.toUpperCase(), result, progress, attempt };
  },

  async cancel_operation({ client, resource, operation_id, reason }) {
    await the(clients, client).operations.cancel(resource, operation_id, { reason });
    return {};
  },

  close({ client }) {
    the(clients, client).close();
    return {};
  },
};

/** Rejects with the reason of `signal` once it aborts. */
async function told(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
}

function the<Thing>(things: ReadonlyMap<string, Thing>, name: string): Thing {
  const thing = things.get(name);
  if (thing === undefined) throw new Error(`nothing is called ${name}`);
  return thing;
}

function msOf(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * SECOND_MS;
}

function modeOf({ shared, permits, limit = 0 }: Args): ModeOption {
  if (shared) return 'shared';
  return permits === undefined ? 'exclusive' : { permits, limit };
}

function remaining(lease: Lease | LeaseSet): number {
  return lease.remainingMs() / SECOND_MS;
}

/** For example FORCE_RELEASED; null while the lease is held, and after a release here. */
function lossOf({ signal }: Lease | LeaseSet): string | null {
  const { reason }: { readonly reason: unknown } = signal;
  return reason instanceof LeaseLostError ? reason.loss.replace('-', '_').toUpperCase() : null;
}

/**
 * The codes of errors that the client itself finds. For the others, it is the status that ended the call: the cause.
 */
const OWN_CODES: { readonly [reason in ErrorReason]?: keyof typeof status } = {
  LEASE_LOST: 'ABORTED',
  STALE_ATTEMPT: 'ABORTED',
  OPERATION_CANCELLED: 'CANCELLED',
};

function codeOf({ cause, reason }: LeaseholdError): string {
  if (cause instanceof CallError) return status[cause.code];
  return cause instanceof LeaseholdError ? codeOf(cause) : (OWN_CODES[reason] ?? 'UNKNOWN');
}

function errorOf(error: unknown): object {
  if (error instanceof LeaseholdError) {
    const holders = error instanceof ContendedError ? error.holders.map(({ owner }) => owner) : [];
    const fields = error instanceof InvalidArgumentError ? error.violations.map(({ field }) => field) : [];
    const { name: type, reason, message } = error;
    return { type, code: codeOf(error), reason, message, holders, fields };
  }
  // The `timeout` is over: the call rejects with the reason of its signal.
  const isTimeout = error instanceof DOMException && error.name === 'TimeoutError';
  return { code: isTimeout ? 'DEADLINE_EXCEEDED' : 'UNKNOWN', message: String(error) };
}

async function answer(line: string): Promise<void> {
  // play.ts writes it, in the form that the scenarios' README documents.
  const { id, verb, args } = JSON.parse(line) as { id: number; verb: string; args: Args };
  const say = (answered: object): boolean => process.stdout.write(`${JSON.stringify({ id, ...answered })}\n`);
  try {
    const act = VERBS[verb];
    if (!act) throw new Error(`no verb ${verb}`);
    say({ ok: await act(args) });
  } catch (error) {
    say({ error: errorOf(error) });
  }
}

for await (const line of createInterface(process.stdin)) void answer(line);
for (const client of clients.values()) client.close();
