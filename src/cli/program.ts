// The program: its commands with their options and examples, and how it ends. What a command does is its action, in a
// module that is loaded when the command is called, so that no command waits for the code of another.

import { Argument, Command, CommanderError } from 'commander';
import type { ServeOptions } from '../config/load-config.ts';
import { addCapacityCommand } from './capacity-command.ts';
import { addDoctorCommand } from './doctor-command.ts';
import { addDrillCommands } from './drill-commands.ts';
import { EXIT, Exit, endProcess, letReadersLeave, taken } from './exit.ts';
import { addHoldingCommands } from './holding-commands.ts';
import { addInspectCommands } from './inspect-commands.ts';
import { whenNpmHasEnded } from './npm-parent.ts';
import type { Arguments, ProgramContext } from './program-context.ts';
import { failureForShell } from './shell-text.ts';
import { printable } from './text.ts';

/** Ends the process, unless it serves. */
export async function runProgram(args: readonly string[], context: ProgramContext): Promise<void> {
  letReadersLeave();
  whenNpmHasEnded(() => process.kill(process.pid, 'SIGTERM'));
  let isServer = false;
  const serve = (options: ServeOptions): Promise<void> => {
    isServer = true;
    return context.serve(options);
  };
  const failed = failureForShell(split(args).own);
  process.once('exit', failed); // for what ends the process elsewhere: a second signal, a defect
  try {
    await programOf(split(args), { ...context, serve }).parseAsync([...split(args).own], { from: 'user' });
  } catch (error) {
    const exit = await exitOf(error);
    const isHelp = error instanceof CommanderError && exit.code === 0;
    if (isHelp) process.off('exit', failed);
    else failed(exit.code);
    return endProcess(exit);
  }
  process.off('exit', failed);
  if (!isServer) return endProcess(new Exit(0));
}

function split(args: readonly string[]): Arguments {
  const at = args.indexOf('--');
  return at < 0 ? { own: args, command: undefined } : { own: args.slice(0, at), command: args.slice(at + 1) };
}

async function exitOf(error: unknown): Promise<Exit> {
  if (error instanceof Exit) return error;
  if (error instanceof CommanderError) {
    await taken(process.stderr); // It has printed its message there.
    return new Exit(error.exitCode === 0 ? 0 : EXIT.usage);
  }
  const { describeError } = await import('./describe-error.ts');
  const { code, message } = describeError(error);
  return new Exit(code, message);
}

/** All commands with their options; none has run. */
export function programOf(args: Arguments, context: ProgramContext): Command {
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
          // Commander puts its suggestion on a line of its own; everything else may come from the arguments.
          text
            .trimEnd()
            .split(/\n(?=\(Did you mean )/)
            .map(printable)
            .join('\n')
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
  program.commandsGroup('Operate:');
  addDoctorCommand(program, context.env);
  addDrillCommands(program, context.env);
  addCapacityCommand(program, context.env);
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
