// `leasehold info`: what a server says about itself.

import type { RollCallFacts, ServerInfo } from '../client/server-facts.ts';
import { withClient } from './connect.ts';
import type { ConnectionOptions, OutputOptions } from './options.ts';
import { print, printJson } from './output.ts';
import type { Env } from './program-context.ts';
import { fields, span } from './text.ts';

export async function showInfo(options: ConnectionOptions & OutputOptions, env: Env): Promise<void> {
  const info = await withClient(options, env, (client) => client.serverInfo({ timeoutMs: options.timeout }));
  await (options.json ? printJson(info) : print(infoText(info)));
}

export function infoText(info: ServerInfo): string {
  const { rollCall } = info;
  return fields([
    ['version', info.version],
    ['instance', info.instanceId],
    ['store', info.store],
    ['serving', servingText(info)],
    ['reign', info.reign],
    ['grants again in', grantsText(info)],
    ...(rollCall ? rollCallRows(rollCall) : []),
    ['default TTL', spanOf(info.defaultTtlMs)],
    ['smallest TTL', spanOf(info.minTtlMs)],
    ['largest TTL', spanOf(info.maxTtlMs)],
    ['advisable TTL from', spanOf(info.smallestAdvisableTtlMs)],
  ]);
}

function spanOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : span(ms);
}

function servingText({ serving, rollCall }: ServerInfo): string {
  if (serving) return 'yes';
  const newcomerMs = rollCall?.newcomerRemainingMs;
  if (newcomerMs === undefined) return 'no: its store is unavailable at the moment';
  return `not yet: it has just registered, and answers in ${span(newcomerMs)}`;
}

function grantsText({ quarantineRemainingMs, rollCall }: ServerInfo): string | undefined {
  if (quarantineRemainingMs === undefined || !rollCall?.enabled) return spanOf(quarantineRemainingMs);
  return `${span(quarantineRemainingMs)}, or as soon as all instances have answered the roll call`;
}

function rollCallRows(rollCall: RollCallFacts): readonly (readonly [string, string | undefined])[] {
  const { enabled, fullQuarantineRemainingMs, missingInstances, missingCount } = rollCall;
  const names = missingInstances.map(
    ({ instanceId, host, unseenMs }) => `${instanceId} on ${host}, last seen ${span(unseenMs)} ago`,
  );
  const more = missingCount - missingInstances.length;
  return [
    ['roll call', enabled ? 'on' : 'off'],
    ['missing', [...names, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')],
    [
      'full quarantine',
      fullQuarantineRemainingMs === undefined
        ? undefined
        : `${span(fullQuarantineRemainingMs)} left, which repeats of calls from before it wait for`,
    ],
    ['last quarantine', endText(rollCall.lastQuarantineEnd)],
  ];
}

function endText(end: RollCallFacts['lastQuarantineEnd']): string | undefined {
  if (!end) return undefined;
  if (end.how === 'early') return `ended early, after ${span(end.tookMs)}: all instances had answered`;
  return `lasted its whole time, ${span(end.tookMs)}${end.why === '' ? '' : `: ${end.why}`}`;
}
