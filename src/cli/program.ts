// The command line: which commands there are, with their options and examples, and how they end. What a command does
// is in a module of its own, loaded when the command is called, so that none waits for the code of another.

import { Command, CommanderError } from 'commander';
import type { ServeOptions } from '../config/load-config.ts';
import { addClientCommands } from './client-commands.ts';
import { EXIT, Exit } from './exit-codes.ts';
import { printable } from './text.ts';

/** What only the process has. */
export interface ProgramContext {
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Serves; the server's code is not known here. */
  readonly serve: (options: ServeOptions) => Promise<void>;
}

/** The arguments, those after `--` apart: they belong to the command that is run. */
export interface Arguments {
  readonly own: readonly string[];
  readonly command: readonly string[] | undefined;
}

/** Ends the process, unless it serves. */
export async function runProgram(args: readonly string[], context: ProgramContext): Promise<void> {
  // `leasehold locks ls | head`: who reads no further wants no complaint.
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

export function programOf(args: Arguments, context: ProgramContext): Command {
  const program = new Command('leasehold')
    .description('Distributed locks and long-running operations over gRPC, on Redis Sentinel.')
    .version(context.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .showHelpAfterError('(add --help for what can be given)')
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
  leasehold serve                                      a server with its locks in memory, for a first look
  leasehold run nightly-billing -- ./bill.sh           hold a lock while a command runs
  leasehold run -n report -- make report               ... or do not run it, if it runs elsewhere
  leasehold locks ls                                   who holds what

Exit codes: 0 done, 1 held by others or refused, 2 wrong usage, 75 no server, 76 lease lost, 77 token refused.`,
    );
  program.commandsGroup('Server:');
  serveCommand(program, context);
  addClientCommands(program, args, context);
  return program;
}

function serveCommand(program: Command, context: ProgramContext): void {
  program
    .command('serve')
    .description('serve; without a redis section in the configuration: in memory, for trials')
    .option('--config <file>', 'the configuration (or LEASEHOLD_CONFIG)')
    .option('--check-config', 'check the configuration and end')
    .option('--workers <n>', 'processes that share the port, for more than one core (default: 1)')
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
