// `leasehold locks …`: inspects locks, and force-releases them for administrators.

import type { Lock, LockMode, LockState } from '../client/client.ts';
import { systemClock } from '../domain/clock.ts';
import { withClient } from './connect.ts';
import { EXIT, Exit } from './exit.ts';
import type { ConnectionOptions, OutputOptions } from './options.ts';
import { print, printJson, terminalWidth } from './output.ts';
import type { Env } from './program-context.ts';
import { ago, fields, labelsText, printable, span, table, timeOfDay, within } from './text.ts';

type Options = ConnectionOptions & OutputOptions;

interface ListOptions extends Options {
  readonly prefix?: string;
  readonly owner?: string;
  readonly state?: readonly Exclude<LockState, 'free' | 'unknown'>[];
}

const HEADINGS = ['RESOURCE', 'STATE', 'MODE', 'HOLDER', 'TOKEN', 'ENDS', 'WAITING'];

export async function listLocks(options: ListOptions, env: Env): Promise<void> {
  const { json, prefix, owner, state: states, timeout: timeoutMs } = options;
  const locks: Lock[] = [];
  await withClient(options, env, async (client) => {
    for await (const lock of client.locks.list({ prefix, owner, states, timeoutMs })) {
      if (json) await printJson(lock);
      else locks.push(lock);
    }
  });
  if (!json && locks.length > 0) await print(table(HEADINGS, locks.map(rowOf), terminalWidth()));
}

export async function showLock(resource: string, options: Options, env: Env): Promise<void> {
  const lock = await withClient(options, env, (client) =>
    client.locks.get(resource, { timeoutMs: options.timeout }),
  );
  if (options.json) await printJson(lock);
  else await print(described(lock, systemClock.wallMs()));
}

export async function watchLocks(
  resources: readonly string[],
  options: Options & { readonly prefix?: string },
  env: Env,
): Promise<void> {
  const { prefix, json, timeout: timeoutMs } = options;
  if (prefix !== undefined && resources.length > 0) {
    throw new Exit(EXIT.usage, '--prefix: give either a prefix or the names of resources, not both.');
  }
  await withClient(options, env, async (client) => {
    for await (const change of client.locks.watch({ resources, prefix, timeoutMs })) {
      if (json) await printJson(change.kind === 'lock' ? change : { kind: 'snapshot_complete' });
      else if (change.kind === 'lock') await print(`${changed(change.lock)}\n`);
    }
  });
}

export async function forceRelease(
  resource: string,
  options: Options & { readonly fencingToken?: bigint; readonly immediate?: true; readonly reason?: string },
  env: Env,
): Promise<void> {
  const { fencingToken, immediate, reason, timeout: timeoutMs, json } = options;
  const revoked = await withClient(options, env, (client) =>
    client.locks.forceRelease(resource, { fencingToken, immediate, reason, timeoutMs }),
  );
  if (json) await printJson({ resource, ...revoked });
  if (revoked.releasedCount === 0) {
    const which =
      fencingToken === undefined ? 'nobody holds it' : `no live lease has the token ${fencingToken}`;
    throw new Exit(EXIT.no, json ? '' : `${printable(resource)}: ${which}; nothing was changed.`);
  }
  const free = revoked.freeInMs > 0 ? `will be free ${within(revoked.freeInMs)}` : 'is free';
  const leases = revoked.releasedCount === 1 ? '1 lease' : `${revoked.releasedCount} leases`;
  if (!json) await print(`force-released ${leases}; ${printable(resource)} ${free}\n`);
}

function rowOf(lock: Lock): string[] {
  const { holders, holderCount, minHoldRemainingMs, waiterCount } = lock;
  const [first] = holders;
  return [
    lock.resource,
    lock.state,
    first ? modeText(first.mode, lock) : '',
    holdersText(lock),
    first && holderCount === 1 ? first.fencingToken.toString() : '',
    endText(first?.remainingMs, minHoldRemainingMs),
    waiterCount > 0 ? waiterCount.toString() : '',
  ];
}

function holdersText({ holders, holderCount }: Lock): string {
  const [first] = holders;
  if (!first) return '';
  const revoked = first.revoked ? ' (force-released)' : '';
  return `${first.owner || '(no owner)'}${revoked}${holderCount > 1 ? ` and ${holderCount - 1} more` : ''}`;
}

function endText(remainingMs: number | undefined, minHoldMs: number | undefined): string {
  const latest = Math.max(remainingMs ?? 0, minHoldMs ?? 0);
  return remainingMs === undefined && minHoldMs === undefined ? '' : within(latest);
}

function modeText(mode: LockMode, { permitsHeld, permitsLimit }: Lock): string {
  return mode.kind === 'permits' ? `permits ${permitsHeld}/${permitsLimit}` : mode.kind;
}

function described(lock: Lock, nowMs: number): string {
  const { holders, holderCount, waiters, waiterCount, minHoldRemainingMs } = lock;
  const [first] = holders;
  const head = fields([
    ['resource', lock.resource],
    ['state', lock.state],
    ['mode', first && modeText(first.mode, lock)],
    [
      'taken for',
      minHoldRemainingMs === undefined ? undefined : `at least another ${span(minHoldRemainingMs)}`,
    ],
    ['holders', holderCount > 0 ? holderCount.toString() : undefined],
    ['waiters', waiterCount > 0 ? waiterCount.toString() : undefined],
  ]);
  const held = holders.map((holder) => [
    `${holder.owner}${holder.revoked ? ' (force-released)' : ''}`,
    holder.fencingToken.toString(),
    ago(holder.acquiredAt, nowMs),
    within(holder.remainingMs),
    holder.leaseIdHash,
    labelsText(holder.metadata),
  ]);
  const waiting = waiters.map((waiter, index) => [
    `${index + 1}`,
    `${waiter.owner}${waiter.absent ? ' (absent)' : ''}`,
    waiter.mode.kind,
    ago(waiter.queuedAt, nowMs),
    waiter.leaseIdHash,
  ]);
  const width = terminalWidth();
  return [
    head,
    held.length > 0 && table(['HOLDER', 'TOKEN', 'SINCE', 'ENDS', 'LEASE', 'METADATA'], held, width),
    waiting.length > 0 && table(['POSITION', 'WAITER', 'MODE', 'SINCE', 'LEASE'], waiting, width),
  ]
    .filter((part) => part !== false)
    .join('\n');
}

function changed(lock: Lock): string {
  const time = timeOfDay(systemClock.wallMs());
  const [first] = lock.holders;
  const what = first
    ? `held by ${holdersText(lock)}, token ${first.fencingToken}, ends ${within(first.remainingMs)}`
    : lock.state;
  const waiting = lock.waiterCount > 0 ? `, ${lock.waiterCount} waiting` : '';
  return printable(`${time}  ${lock.resource}  ${what}${waiting}`);
}
