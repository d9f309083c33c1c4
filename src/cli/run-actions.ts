// `leasehold run` and `leasehold elect`: a command under a lease, once, or in every term.

import { type Client, ContendedError, type Lease, LeaseholdError } from '../client/client.ts';
import { GIVEN_TO_COMMANDS } from '../config/client-environment.ts';
import { pause, wakefulClock } from '../domain/clock.ts';
import { withClient } from './connect.ts';
import { describeError, messageOf } from './describe-error.ts';
import { codeOfSignal, EXIT, Exit } from './exit.ts';
import { type CommandEnd, runGuarded } from './guarded-command.ts';
import { complain, type Tell, teller } from './notices.ts';
import {
  type ConnectionOptions,
  type LeaseFlags,
  leaseOptionsOf,
  type WaitFlags,
  waitMsOf,
} from './options.ts';
import type { Env } from './program-context.ts';
import { Signals } from './signals.ts';
import { span } from './text.ts';
import { type HeldLease, waitForLease } from './wait-for-lease.ts';

interface GraceFlags {
  readonly grace?: number;
  readonly verbose?: true;
}

interface UnderLease<Options> {
  readonly resource: string;
  readonly command: readonly [string, ...string[]];
  readonly options: Options;
  readonly env: Env;
}

type RunOptions = ConnectionOptions & LeaseFlags & WaitFlags & GraceFlags;
type ElectOptions = ConnectionOptions & LeaseFlags & GraceFlags;

interface Candidacy {
  readonly signals: Signals;
  readonly tell: Tell;
  /** Infinity if it has led before. */
  readonly timeoutMs: number;
}

/** The grace as a part of the lease: without --grace, and at most. */
const GRACE = { usual: 1 / 5, most: 1 / 2 };
/** How long the end of the process waits for the release. */
const RELEASE_MS = 2_000;
/** The pause between two tries of a candidate that has led before. */
const AGAIN_MS = 1_000;

export async function runUnderLock({
  resource,
  command,
  options,
  env,
}: UnderLease<RunOptions>): Promise<never> {
  const signals = new Signals();
  const tell = teller(options.verbose);
  const end = await withClient(options, env, async (client) => {
    let held: HeldLease;
    try {
      held = await waitForLease(client, {
        resource,
        lease: leaseOptionsOf(options),
        waitMs: waitMsOf(options),
        timeoutMs: options.timeout,
        tell,
        stop: signals.stop,
      });
    } catch (error) {
      if (error instanceof ContendedError) throw new Exit(options.conflictExitCode, messageOf(error));
      if (signals.received) return { kind: 'signalled', signal: signals.received } as const;
      throw error;
    }
    return underLease({ resource, command, options, env }, held, signals);
  });
  throw exitOf(end, signals);
}

export async function runWhileElected(given: UnderLease<ElectOptions>): Promise<never> {
  const { resource, options, env } = given;
  const signals = new Signals();
  const tell = teller(options.verbose);
  const end = await withClient(options, env, async (client) => {
    // A candidate that has led before keeps trying: silent servers may be the very reason why it lost the term.
    for (let timeoutMs = options.timeout; ; timeoutMs = Number.POSITIVE_INFINITY) {
      const held = await elected(client, given, { signals, tell, timeoutMs });
      if (held === undefined) return { kind: 'signalled', signal: signals.received ?? 'SIGTERM' } as const;
      const ended = await underLease(given, held, signals);
      // A signal that came while the command was being stopped means: don't stand again.
      if (ended.kind !== 'lost' || signals.received) return ended;
      complain(`standing for election to ${resource} again`);
    }
  });
  throw exitOf(end, signals);
}

async function elected(
  client: Client,
  { resource, options }: UnderLease<ElectOptions>,
  { signals, tell, timeoutMs }: Candidacy,
): Promise<HeldLease | undefined> {
  for (;;) {
    try {
      return await waitForLease(client, {
        resource,
        lease: leaseOptionsOf(options),
        waitMs: Number.POSITIVE_INFINITY,
        timeoutMs,
        tell,
        stop: signals.stop,
      });
    } catch (error) {
      if (signals.received) return undefined;
      // A server that is just starting or ending may answer with other errors than "unavailable".
      const { code, message } = describeError(error);
      if (Number.isFinite(timeoutMs) || code !== EXIT.unavailable) throw error;
      tell(`${message} Trying again.`);
      await pause(wakefulClock, AGAIN_MS, signals.stop);
    }
  }
}

async function underLease(
  { resource, command, options, env }: UnderLease<GraceFlags>,
  held: HeldLease,
  signals: Signals,
): Promise<CommandEnd> {
  const { lease } = held;
  try {
    if (signals.received) return { kind: 'signalled', signal: signals.received };
    return await runGuarded({
      command,
      env: {
        ...env,
        [GIVEN_TO_COMMANDS.resource]: resource,
        [GIVEN_TO_COMMANDS.fencingToken]: lease.fencingToken.toString(),
      },
      held,
      graceMs: graceOf(options, lease),
      signals,
      onLoss: (why, killInMs) => {
        const until = killInMs > 0 ? `was told to end and will be killed in ${span(killInMs)}` : 'was killed';
        complain(`${why} The command ${until}.`);
      },
    });
  } finally {
    await released(lease);
  }
}

// The command's own end decides the exit code, so a release that fails is only reported, and the wait for it is short.
async function released(lease: Lease): Promise<void> {
  if (lease.loss?.loss === 'deadline') return;
  const failed = lease.release().then(
    () => undefined,
    (error: unknown) => error,
  );
  const late = pause(wakefulClock, RELEASE_MS).then((): unknown => new Error('too late'));
  const result = await Promise.race([failed, late]);
  if (result === undefined) return;
  const why = result instanceof LeaseholdError ? messageOf(result) : 'No server answered in time.';
  complain(`The lease on ${lease.resource} could not be released and will end by itself. ${why}`);
}

function graceOf({ grace }: GraceFlags, lease: Lease): number {
  const validMs = lease.remainingMs();
  if (grace === undefined) return validMs * GRACE.usual;
  if (grace <= validMs * GRACE.most) return grace;
  const text = `--grace: ${span(grace)} is more than half of the ${span(validMs)} that the lease lasts.`;
  throw new Exit(EXIT.usage, `${text} Give a longer --ttl or a shorter --grace.`);
}

function exitOf(end: CommandEnd, { received }: Signals): Exit {
  switch (end.kind) {
    case 'exited':
      return new Exit(end.code);
    case 'signalled':
      return received === end.signal ? Exit.by(end.signal) : new Exit(codeOfSignal(end.signal));
    case 'lost':
      return new Exit(EXIT.lost);
  }
}
