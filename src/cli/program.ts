// The program: its commands with their options and examples, and how it ends. What a command does is its action, in a
// module that is loaded when the command is called, so that no command waits for the code of another.

import { Argument, Command, CommanderError } from 'commander';
import type { ServeOptions } from '../config/load-config.ts';
import { EXIT, Exit } from './exit.ts';
import { addHoldingCommands } from './holding-commands.ts';
import { addInspectCommands } from './inspect-commands.ts';
import type { Arguments, ProgramContext } from './program-context.ts';
import { printable } from './text.ts';

/** Ends the process, unless it serves. */
export async function runProgram(args: readonly string[], context: ProgramContext): Promise<void> {
  // `leasehold locks ls | head`: a reader that has read enough is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : EXIT.internal);
  });
  try {
    await programOf(split(args), context).parseAsync([...split(args).own], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : EXIT.usage);
    const { code, message } = await endOf(error);
    if (message !== '') process.stderr.write(`leasehold: ${message}\n`);
    process.exit(code);
  }
}

function split(args: readonly string[]): Arguments {
  const at = args.indexOf('--');
  return at < 0 ? { own: args, command: undefined } : { own: args.slice(0, at), command: args.slice(at + 1) };
}

async function endOf(error: unknown): Promise<{ readonly code: number; readonly message: string }> {
  if (error instanceof Exit) return error;
  const { describeError } = await import('./describe-error.ts');
  return describeError(error);
}

function programOf(args: Arguments, context: ProgramContext): Command {
  const program = new Command('leasehold')
    .description('Distributed locks and long-running operations over gRPC, on Redis Sentinel.')
    .version(context.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .showHelpAfterError('(add --help to see the options)')
    .exitOverride()
    .configureOutput({
      outputError: (text, write) =>
        write(
          printable(text.trimEnd())
            .replace(/^error: /, 'leasehold: ')
            .concat('\n'),
        ),
    })
    .addHelpText(
      'after',
      `
Examples:
  leasehold serve                                      a server that keeps its locks in memory, to try it out
  leasehold run nightly-billing -- ./bill.sh           hold a lock while a command runs
  leasehold run -n report -- make report               ... or don't run it if it already runs elsewhere
  leasehold locks ls                                   who holds what

Exit codes: 0 done, 1 held by others or refused, 2 wrong usage, 75 no server, 76 lease lost, 77 token refused.`,
    );
  program.commandsGroup('Server:');
  addServeCommand(program, context);
  program.commandsGroup('Hold a lock:');
  addHoldingCommands(program, args, context.env);
  program.commandsGroup('Inspect and manage:');
  addInspectCommands(program, context.env);
  program.commandsGroup('Shell:');
  addCompletionCommand(program);
  return program;
}

function addServeCommand(program: Command, context: ProgramContext): void {
  program
    .command('serve')
    .description('run a server; without a redis section in the configuration it keeps its locks in memory')
    .option('--config <file>', 'the configuration file (or LEASEHOLD_CONFIG)')
    .option('--check-config', 'check the configuration and exit')
    .option('--workers <n>', 'server processes that share the port, to use more than one core (default: 1)')
    .addHelpText(
      'after',
      `
Every setting can also come from the environment (LEASEHOLD_…): see docs/configuration.md.

Examples:
  leasehold serve --config /etc/leasehold.yaml
  leasehold serve --config /etc/leasehold.yaml --check-config
  leasehold serve --config /etc/leasehold.yaml --workers 4

Exit codes: 0 ended as asked, 1 failed or refused to serve, 2 wrong arguments or configuration.`,
    )
    .action(async (options: ServeOptions) => {
      try {
        await context.serve(options);
      } catch (error) {
        throw new Exit(EXIT.no, error instanceof Error ? error.message : String(error));
      }
    });
}

function addCompletionCommand(program: Command): void {
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
