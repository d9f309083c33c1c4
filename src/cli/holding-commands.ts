// The commands that hold a lock (run, elect) and those that handle a lease for a script (acquire, renew, release):
// their arguments, options and examples. What they do is in run-actions.ts and lease-actions.ts.

import { type Command, Option } from 'commander';
import { CLIENT_VARIABLES } from '../config/client-environment.ts';
import { EXIT, Exit } from './exit.ts';
import {
  duration,
  fencingToken,
  paragraph,
  withConnection,
  withJson,
  withLease,
  withMode,
  withWait,
} from './options.ts';
import type { Arguments, Env } from './program-context.ts';

const RUN_CODES = `Exit codes: those of the command (128 + n when signal n ended it), and
  1    held by others (another number with -E)     75   no server answers
  2    wrong usage                                 76   the lease was lost and the command stopped
  126  the command cannot be executed              77   the token was refused
  127  the command does not exist`;

export function addHoldingCommands(program: Command, args: Arguments, env: Env): void {
  addRunCommand(program, args, env);
  addElectCommand(program, args, env);
  addAcquireCommand(program, env);
  addRenewCommand(program, env);
  addReleaseCommand(program, env);
}

function addRunCommand(program: Command, args: Arguments, env: Env): void {
  const run = program
    .command('run <resource>')
    .usage('[options] <resource> -- <command> [argument…]')
    .summary('hold a lock while a command runs')
    .description(
      paragraph(`Holds a lock while a command runs: waits for the lock, starts the command (without a shell), renews the
        lease, and releases it when the command ends. If the lease is lost, the command and the processes that it has
        started get SIGTERM, and SIGKILL before the lease's deadline. The command finds its lease in LEASEHOLD_RESOURCE
        and LEASEHOLD_FENCING_TOKEN.`),
    )
    .addHelpText(
      'after',
      `
Examples:
  leasehold run nightly-billing -- ./bill.sh --month 11
  leasehold run -n -E 0 cron:cleanup --min-hold 1m -- ./cleanup.sh      on many hosts, one of them does it
  leasehold run --permits 1/3 gpu --wait 1h -- python train.py
  leasehold run demo -- sh -c 'echo token $LEASEHOLD_FENCING_TOKEN'

${RUN_CODES}`,
    )
    .action(async (resource: string, options) => {
      const command = commandIn(args, 'run');
      const { runUnderLock } = await import('./run-actions.ts');
      await runUnderLock({ resource, command, options, env });
    });
  withConnection(withLease(withMode(withWait(withGrace(run)))));
}

function addElectCommand(program: Command, args: Arguments, env: Env): void {
  const elect = program
    .command('elect <name>')
    .usage('[options] <name> -- <command> [argument…]')
    .summary('run a command whenever this process is elected')
    .description(
      paragraph(`Runs a command while this process leads. If the term is lost, the command is stopped as with "run", and
        this process stands for election again. It resigns and exits when the command ends by itself, or after a signal.
        The command finds the number of its term in LEASEHOLD_FENCING_TOKEN.`),
    )
    .addHelpText(
      'after',
      `
Examples:
  leasehold elect scheduler -- ./scheduler --leader
  leasehold locks watch scheduler                                       who leads

${RUN_CODES}`,
    )
    .action(async (resource: string, options) => {
      const command = commandIn(args, 'elect');
      const { runWhileElected } = await import('./run-actions.ts');
      await runWhileElected({ resource, command, options, env });
    });
  elect.option('-v, --verbose', 'report elections even if stderr is not a terminal');
  withConnection(withLease(withGrace(elect)));
}

function withGrace(command: Command): Command {
  return command
    .optionsGroup('Loss:')
    .option(
      '--grace <duration>',
      'time between SIGTERM and SIGKILL when the lease is about to end (default: a fifth of the lease)',
      duration,
    );
}

function addAcquireCommand(program: Command, env: Env): void {
  const acquire = program
    .command('acquire <resource>')
    .summary('acquire a lease that a script renews and releases')
    .description(
      paragraph(`Acquires a lease, prints lease_id, fencing_token and valid_for_ms, and exits. Nothing renews the lease:
        renew it before it ends, or let it end. Anyone who knows the lease_id can renew and release the lease. If it
        fails, it prints text that fails when a shell evaluates it.`),
    )
    .addHelpText(
      'after',
      `
Examples:
  lease=$(leasehold acquire deploy --ttl 30s) || exit               in a script: without the lock, it ends here
  eval "$lease"; export LEASEHOLD_CLIENT_LEASE_ID="$lease_id"
  leasehold renew deploy --fencing-token "$fencing_token" && leasehold release deploy
  leasehold acquire deploy --wait 5m --json`,
    )
    .action(async (resource: string, options) => {
      await (await import('./lease-actions.ts')).acquireForScript(resource, options, env);
    });
  withConnection(withJson(withLease(withMode(withWait(acquire)))));
}

function addRenewCommand(program: Command, env: Env): void {
  const renew = program
    .command('renew <resource>')
    .description('renew a lease that "acquire" took; exit code 76 if it is no longer held')
    .addOption(leaseId())
    .addOption(
      new Option('--fencing-token <token>', 'as "acquire" printed it')
        .argParser(fencingToken)
        .makeOptionMandatory(),
    )
    .option(
      '--ttl <duration>',
      'how long the lease lasts from now (default: the TTL it was acquired with)',
      duration,
    )
    .addHelpText(
      'after',
      `
Example:
  LEASEHOLD_CLIENT_LEASE_ID="$lease_id" leasehold renew deploy --fencing-token "$fencing_token"`,
    )
    .action(async (resource: string, options) => {
      await (await import('./lease-actions.ts')).renewForScript(resource, options, env);
    });
  withConnection(withJson(renew));
}

function addReleaseCommand(program: Command, env: Env): void {
  const release = program
    .command('release <resource>')
    .description('release a lease that "acquire" took; exit code 1 if there is nothing to release')
    .addOption(leaseId())
    .addHelpText(
      'after',
      `
Example:
  LEASEHOLD_CLIENT_LEASE_ID="$lease_id" leasehold release deploy`,
    )
    .action(async (resource: string, options) => {
      await (await import('./lease-actions.ts')).releaseForScript(resource, options, env);
    });
  withConnection(withJson(release));
}

function leaseId(): Option {
  return new Option(
    '--lease-id <id>',
    'as "acquire" printed it; prefer the variable, because others on this machine can see arguments',
  )
    .env(CLIENT_VARIABLES.leaseId)
    .makeOptionMandatory();
}

// Everything after `--` belongs to the command, even what looks like an option of ours.
function commandIn({ command }: Arguments, name: string): readonly [string, ...string[]] {
  const [program, ...rest] = command ?? [];
  if (program === undefined || program === '') {
    const where = `leasehold ${name} RESOURCE -- COMMAND [ARGUMENT…]`;
    throw new Exit(EXIT.usage, `Give the command to run after "--": ${where}`);
  }
  return [program, ...rest];
}
