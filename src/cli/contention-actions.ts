// `leasehold locks top` and `leasehold locks deadlocks`: what calls wait for, and which owners wait for each other.

import type { ContendedLock, ContendedLocks, DeadlockMember, SuspectedDeadlocks } from '../client/client.ts';
import { pause, wakefulClock } from '../domain/clock.ts';
import { withClient } from './connect.ts';
import { EXIT, Exit } from './exit.ts';
import type { ConnectionOptions, OutputOptions } from './options.ts';
import { print, printJson, terminalWidth } from './output.ts';
import type { Env } from './program-context.ts';
import { printable, span, table } from './text.ts';

type Options = ConnectionOptions & OutputOptions;

interface TopOptions extends Options {
  readonly limit?: number;
  /** How often to look again, in milliseconds; true for the default. */
  readonly watch?: number | true;
}

const HEADINGS = ['RESOURCE', 'WAITING', 'HOLDER', 'WAITS', 'WAITED', 'LONGEST', 'MEAN HOLD'];
const LOOK_AGAIN_MS = 2_000;
/** To the top left, and erase what is below. */
const CLEAR = '\u001b[H\u001b[2J';
/** An error of less than this part of the whole is not worth a word. */
const NEGLIGIBLE = 0.01;

export async function topLocks(options: TopOptions, env: Env): Promise<void> {
  const { json, limit, watch, timeout: timeoutMs } = options;
  await withClient(options, env, async (client) => {
    for (;;) {
      const top = await client.locks.contended({ limit, timeoutMs });
      if (json) await printJson(top);
      else await print(`${watch !== undefined && process.stdout.isTTY ? CLEAR : ''}${topText(top)}`);
      if (watch === undefined) return;
      await pause(wakefulClock, watch === true ? LOOK_AGAIN_MS : watch);
    }
  });
}

export async function listDeadlocks(options: Options, env: Env): Promise<void> {
  const found = await withClient(options, env, (client) =>
    client.locks.suspectedDeadlocks({ timeoutMs: options.timeout }),
  );
  if (options.json) await printJson(found);
  else await print(deadlocksText(found));
  if (found.deadlocks.length > 0) throw new Exit(EXIT.no);
}

export function topText(top: ContendedLocks): string {
  const { locks, windowMs, serverCount, oldestReportMs } = top;
  const from = `${servers(serverCount)}${serverCount > 1 ? `, the oldest report ${span(oldestReportMs)} old` : ''}`;
  if (locks.length === 0) return `No call had to wait for a lock lately (${from}).\n`;
  const rows = table(HEADINGS, locks.map(rowOf), terminalWidth());
  return `${rows}\nIn the last ${span(windowMs)} (${from}).\n`;
}

function rowOf(contended: ContendedLock): string[] {
  const { lock, totalWaitMs, waitErrorMs, waitCount, longestWaitMs, holdCount, totalHoldMs } = contended;
  const [first] = lock.holders;
  const others = lock.holderCount > 1 ? ` and ${lock.holderCount - 1} more` : '';
  const isExact = waitErrorMs <= NEGLIGIBLE * totalWaitMs;
  return [
    lock.resource,
    lock.waiterCount > 0 ? lock.waiterCount.toString() : '',
    first ? `${first.owner || '(no owner)'}${others}` : '',
    waitCount.toString(),
    `${isExact ? '' : 'up to '}${span(totalWaitMs)}`,
    span(longestWaitMs),
    holdCount > 0 ? span(totalHoldMs / holdCount) : '',
  ];
}

export function deadlocksText({ deadlocks, partial, serverCount }: SuspectedDeadlocks): string {
  const left = partial ? 'There were more waits or holders than the servers look at.\n' : '';
  if (deadlocks.length === 0) return `No owners wait for each other (${servers(serverCount)}).\n${left}`;
  const texts = deadlocks.map((members) => `${circleText(members)}\n${adviceText(members)}`);
  return texts.join('\n') + left;
}

function circleText(members: readonly DeadlockMember[]): string {
  const lines = members.map((member, index) => {
    const next = members[(index + 1) % members.length];
    const { owner, heldResource, awaitedResource, waitedMs } = member;
    return printable(
      `  ${owner} holds ${heldResource}, and has waited ${span(waitedMs)} for ${awaitedResource} (held by ${next?.owner})`,
    );
  });
  return [`These ${members.length} owners seem to wait for each other:`, ...lines].join('\n');
}

/** The one that has waited least has most likely done least under its lock. */
function adviceText(members: readonly DeadlockMember[]): string {
  const [youngest] = members.toSorted((a, b) => a.waitedMs - b.waitedMs);
  if (!youngest) return '';
  const { owner, heldResource, fencingToken } = youngest;
  const command = `leasehold locks force-release ${quoted(heldResource)} --fencing-token ${fencingToken}`;
  return printable(`  To end it, let one of them give up, ${owner} for example:`).concat(
    `\n    ${printable(command)}\n`,
  );
}

/** As a shell takes it. */
function quoted(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function servers(count: number): string {
  return count === 1 ? '1 server' : `${count} servers`;
}
