// The commands that call a server: their arguments, options and examples.

import { Argument, type Command, Option } from 'commander';
import { CLIENT_VARIABLES } from '../config/client-environment.ts';
import { EXIT, Exit } from './exit-codes.ts';
import { addLocksCommands, addOpsCommands } from './inspect-commands.ts';
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
import type { Arguments, ProgramContext } from './program.ts';

const RUN_CODES = `Exit codes: those of the command (128 + n when signal n ended it), and
  1    held by others (another number with -E)     75   no server answers
  2    wrong usage                                 76   the lease was lost, the command stopped
  126  the command cannot be executed              77   the token was refused
  127  there is no such command`;

export function addClientCommands(program: Command, args: Arguments, context: ProgramContext): void {
  const { env } = context;
  program.commandsGroup('Holding:');
  const run = program
    .command('run <resource>')
    .usage('[options] <resource> -- <command> [argument…]')
    .summary('hold a lock while a command runs')
    .description(
      paragraph(`Holds a lock while a command runs: waits for it, starts the command (without a shell), keeps the lock,
        and releases it when the command ends. When the lock is lost, the command and what it has started get SIGTERM,
        and before the deadline of the lease SIGKILL. It finds the lease in LEASEHOLD_RESOURCE and
        LEASEHOLD_FENCING_TOKEN.`),
    )
    .addHelpText(
      'after',
      `
Examples:
  leasehold run nightly-billing -- ./bill.sh --month 11
  leasehold run -n -E 0 cron:cleanup --min-hold 1m -- ./cleanup.sh      on many hosts, done by one of them
  leasehold run --permits 1/3 gpu --wait 1h -- python train.py
  leasehold run demo -- sh -c 'echo token $LEASEHOLD_FENCING_TOKEN'

${RUN_CODES}`,
    )
    .action(async (resource: string, options) => {
      const command = commandIn(args, 'run');
      const { runUnderLock } = await import('./run-command.ts');
      await runUnderLock({ resource, command, options, env });
    });
  withConnection(withLease(withMode(withWait(withGrace(run)))));

  const elect = program
    .command('elect <name>')
    .usage('[options] <name> -- <command> [argument…]')
    .summary('run a command while elected, again whenever elected')
    .description(
      paragraph(`Runs a command while this process leads. When the term is lost, the command is stopped as with "run",
        and this process stands for election again. It resigns and ends when the command ends by itself, or after a
        signal. The number of the term is in LEASEHOLD_FENCING_TOKEN.`),
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
      const { runWhileElected } = await import('./run-command.ts');
      await runWhileElected({ resource, command, options, env });
    });
  elect.option('-v, --verbose', 'tell of elections also where stderr is no terminal');
  withConnection(withLease(withGrace(elect)));

  addLeaseCommands(program, env);
  program.commandsGroup('Looking:');
  addLocksCommands(program, env);
  addOpsCommands(program, env);
  const info = program
    .command('info')
    .description('what the server says about itself: version, store, limits')
    .action(async (options) => (await import('./info-command.ts')).showInfo(options, env));
  withConnection(withJson(info));
  program.commandsGroup('Shell:');
  program
    .command('completion')
    .description('print the completion script for a shell')
    .addArgument(new Argument('<shell>', 'your shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      `
Examples:
  source <(leasehold completion bash)
  leasehold completion zsh >> ~/.zshrc
  leasehold completion fish > ~/.config/fish/completions/leasehold.fish`,
    )
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const { completionOf } = await import('./completion.ts');
      process.stdout.write(completionOf(shell, program));
    });
}

function withGrace(command: Command): Command {
  return command
    .optionsGroup('Loss:')
    .option(
      '--grace <duration>',
      'the time between SIGTERM and SIGKILL when the lease is about to end (default: a fifth of it)',
      duration,
    );
}

function addLeaseCommands(program: Command, env: ProgramContext['env']): void {
  const acquire = program
    .command('acquire <resource>')
    .summary('take a lock for a script to renew and release')
    .description(
      paragraph(`Takes a lock and ends. Nobody keeps it then: renew it before it ends, or let it end. Prints lease_id,
        fencing_token and valid_for_ms. Whoever knows the lease_id can renew and release the lease.`),
    )
    .addHelpText(
      'after',
      `
Examples:
  eval "$(leasehold acquire deploy --ttl 30s)" && export LEASEHOLD_CLIENT_LEASE_ID="$lease_id"
  leasehold renew deploy --fencing-token "$fencing_token" && leasehold release deploy
  leasehold acquire deploy --wait 5m --json`,
    )
    .action(async (resource: string, options) => {
      await (await import('./lease-commands.ts')).acquireForScript(resource, options, env);
    });
  withConnection(withJson(withLease(withMode(withWait(acquire)))));

  const leaseId = (): Option =>
    new Option('--lease-id <id>', 'as acquire printed it; others on this machine can see arguments')
      .env(CLIENT_VARIABLES.leaseId)
      .makeOptionMandatory();
  const renew = program
    .command('renew <resource>')
    .description('renew a lease that acquire took; exit code 76 when it is no longer held')
    .addOption(leaseId())
    .addOption(
      new Option('--fencing-token <token>', 'as acquire printed it')
        .argParser(fencingToken)
        .makeOptionMandatory(),
    )
    .option('--ttl <duration>', 'how long from now (default: as at first)', duration)
    .addHelpText(
      'after',
      `
Example:
  LEASEHOLD_CLIENT_LEASE_ID="$lease_id" leasehold renew deploy --fencing-token "$fencing_token"`,
    )
    .action(async (resource: string, options) => {
      await (await import('./lease-commands.ts')).renewForScript(resource, options, env);
    });
  withConnection(withJson(renew));

  const release = program
    .command('release <resource>')
    .description('release a lease that acquire took; exit code 1 when there was none')
    .addOption(leaseId())
    .addHelpText(
      'after',
      `
Example:
  LEASEHOLD_CLIENT_LEASE_ID="$lease_id" leasehold release deploy`,
    )
    .action(async (resource: string, options) => {
      await (await import('./lease-commands.ts')).releaseForScript(resource, options, env);
    });
  withConnection(withJson(release));
}

// Not taken from among the arguments: what follows `--` is for the command, whatever it looks like.
function commandIn({ command }: Arguments, name: string): readonly [string, ...string[]] {
  const [program, ...rest] = command ?? [];
  if (program === undefined || program === '') {
    const where = `leasehold ${name} RESOURCE -- COMMAND [ARGUMENT…]`;
    throw new Exit(EXIT.usage, `Say after "--" what to run: ${where}`);
  }
  return [program, ...rest];
}
