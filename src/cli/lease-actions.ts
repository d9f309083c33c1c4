// `leasehold acquire`, `renew` and `release`: a lease for scripts, which no process keeps alive.

import { ContendedError } from '../client/client.ts';
import { systemClock } from '../domain/clock.ts';
import { withClient } from './connect.ts';
import { messageOf } from './describe-error.ts';
import { EXIT, Exit } from './exit.ts';
import { teller } from './notices.ts';
import {
  type ConnectionOptions,
  type LeaseFlags,
  leaseOptionsOf,
  type OutputOptions,
  type WaitFlags,
  waitMsOf,
} from './options.ts';
import { print, printJson } from './output.ts';
import type { Env } from './program-context.ts';
import { leaseText, type ShellLease } from './shell-text.ts';
import { Signals } from './signals.ts';
import { waitForLease } from './wait-for-lease.ts';

interface ScriptLease extends ShellLease {
  readonly resource: string;
}

export async function acquireForScript(
  resource: string,
  options: ConnectionOptions & LeaseFlags & WaitFlags & OutputOptions,
  env: Env,
): Promise<void> {
  const signals = new Signals();
  await withClient(options, env, async (client) => {
    try {
      // This uses a holder's stream, which keeps the place in the queue. The end of the stream releases nothing.
      const { lease } = await waitForLease(client, {
        resource,
        lease: leaseOptionsOf(options),
        waitMs: waitMsOf(options),
        timeoutMs: options.timeout,
        tell: teller(options.verbose),
        stop: signals.stop,
      });
      const { leaseId, fencingToken } = lease;
      await tellOf({ resource, leaseId, fencingToken, validForMs: lease.remainingMs() }, options);
    } catch (error) {
      if (signals.received) return;
      if (error instanceof ContendedError) throw new Exit(options.conflictExitCode, messageOf(error));
      throw error;
    }
  });
  if (signals.received) throw Exit.by(signals.received);
}

export async function renewForScript(
  resource: string,
  options: ConnectionOptions &
    OutputOptions & { readonly leaseId: string; readonly fencingToken: bigint; readonly ttl?: number },
  env: Env,
): Promise<void> {
  const { leaseId, fencingToken, timeout: timeoutMs, ttl: ttlMs } = options;
  await withClient(options, env, async (client) => {
    const lease = await client.locks.renew({ resource, leaseId, fencingToken }, { timeoutMs, ttlMs });
    await tellOf({ resource, leaseId, fencingToken, validForMs: lease.remainingMs }, options);
  });
}

export async function releaseForScript(
  resource: string,
  options: ConnectionOptions & OutputOptions & { readonly leaseId: string },
  env: Env,
): Promise<void> {
  const { leaseId, timeout: timeoutMs } = options;
  const released = await withClient(options, env, async (client) => {
    await client.serverInfo({ timeoutMs }); // reports a missing server within the timeout
    return client.locks.release({ resource, leaseId });
  });
  if (options.json) await printJson({ resource, released });
  if (!released) {
    const message = `${resource}: there is no lease with this --lease-id. It was released before, or it has ended.`;
    throw new Exit(EXIT.no, options.json ? '' : message);
  }
}

async function tellOf(lease: ScriptLease, { json }: OutputOptions): Promise<void> {
  const validForMs = Math.floor(lease.validForMs);
  const expiresAt = new Date(systemClock.wallMs() + validForMs);
  if (json) await printJson({ ...lease, validForMs, expiresAt });
  else await print(leaseText({ ...lease, validForMs }));
}
