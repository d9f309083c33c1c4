// `leasehold info`: what a server tells about itself.

import { withClient } from './connect.ts';
import type { ConnectionOptions, OutputOptions } from './options.ts';
import { print, printJson } from './output.ts';
import type { ProgramContext } from './program.ts';
import { fields, span } from './text.ts';

export async function showInfo(
  options: ConnectionOptions & OutputOptions,
  env: ProgramContext['env'],
): Promise<never> {
  const info = await withClient(options, env, (client) => client.serverInfo({ timeoutMs: options.timeout }));
  const spanOf = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : span(ms));
  if (options.json) printJson(info);
  else {
    print(
      fields([
        ['version', info.version],
        ['instance', info.instanceId],
        ['store', info.store],
        ['serving', info.serving ? 'yes' : 'no: its store is not to be had at the moment'],
        ['reign', info.reign],
        ['grants again in', spanOf(info.quarantineRemainingMs)],
        ['default TTL', spanOf(info.defaultTtlMs)],
        ['TTL from', spanOf(info.minTtlMs)],
        ['TTL to', spanOf(info.maxTtlMs)],
        ['advisable from', spanOf(info.smallestAdvisableTtlMs)],
      ]),
    );
  }
  process.exit(0);
}
