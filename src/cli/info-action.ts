// `leasehold info`: what a server says about itself.

import { withClient } from './connect.ts';
import type { ConnectionOptions, OutputOptions } from './options.ts';
import { print, printJson } from './output.ts';
import type { Env } from './program-context.ts';
import { fields, span } from './text.ts';

export async function showInfo(options: ConnectionOptions & OutputOptions, env: Env): Promise<void> {
  const info = await withClient(options, env, (client) => client.serverInfo({ timeoutMs: options.timeout }));
  const spanOf = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : span(ms));
  if (options.json) await printJson(info);
  else {
    await print(
      fields([
        ['version', info.version],
        ['instance', info.instanceId],
        ['store', info.store],
        ['serving', info.serving ? 'yes' : 'no: its store is unavailable at the moment'],
        ['reign', info.reign],
        ['grants again in', spanOf(info.quarantineRemainingMs)],
        ['default TTL', spanOf(info.defaultTtlMs)],
        ['smallest TTL', spanOf(info.minTtlMs)],
        ['largest TTL', spanOf(info.maxTtlMs)],
        ['advisable TTL from', spanOf(info.smallestAdvisableTtlMs)],
      ]),
    );
  }
}
