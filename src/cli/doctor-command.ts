// `leasehold doctor`: its options and examples. What it does is in doctor-action.ts.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { duration, paragraph } from './options.ts';
import type { Env } from './program-context.ts';

const EVERY_MS = 30_000;
const SHORTEST_MS = 1_000;

export function addDoctorCommand(program: Command, env: Env): void {
  program
    .command('doctor')
    .description(
      paragraph(`check the deployment before it hurts: Redis, the Sentinels, and the configuration that a server would
        run with; changes nothing`),
    )
    .option('--config <file>', 'the configuration file of the server (or LEASEHOLD_CONFIG)')
    .addOption(
      new Option('--admin <url>', 'ask a running server instead, on its admin port')
        .argParser(adminUrl)
        .conflicts('config'),
    )
    .addOption(
      new Option('--watch [interval]', 'examine again and again until Ctrl-C, and print what changes')
        .argParser(interval)
        .preset('30s'),
    )
    .option('--json', 'print one JSON document per examination')
    .option('-v, --verbose', 'print also what is fine')
    .addHelpText(
      'after',
      `
Every setting can also come from the environment (LEASEHOLD_…), as for "serve".

Examples:
  leasehold doctor --config /etc/leasehold.yaml
  leasehold doctor --admin http://127.0.0.1:9464
  leasehold doctor --config /etc/leasehold.yaml --json | jq '.findings[] | select(.severity == "error")'

Exit codes: 0 fine, 1 warnings, 2 errors (or wrong usage), 75 nothing could be examined: a wrong configuration, or no
answer from the admin port.`,
    )
    .action(async (options) => (await import('./doctor-action.ts')).runDoctor(options, env));
}

function adminUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new InvalidArgumentError('Give the address of the admin port, such as http://127.0.0.1:9464.');
  }
  return url.origin;
}

function interval(text: string): number {
  const ms = duration(text);
  if (ms < SHORTEST_MS) throw new InvalidArgumentError(`Give 1s or more; ${EVERY_MS / 1_000}s is usual.`);
  return ms;
}
