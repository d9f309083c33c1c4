// The commands that look at locks and operations, and steer them: their arguments, options and examples.

import { type Command, Option } from 'commander';
import {
  fencingToken,
  pairs,
  paragraph,
  several,
  severalOf,
  waiting,
  withConnection,
  withJson,
} from './options.ts';
import type { ProgramContext } from './program.ts';

type Env = ProgramContext['env'];

const JSON_LINES = 'print one JSON document for each line';
const LOCK_STATES = ['held', 'min-hold'] as const;
const OPERATION_STATES = ['pending', 'running', 'succeeded', 'failed', 'cancelled', 'dead'] as const;

export function addLocksCommands(program: Command, env: Env): void {
  const locks = program.command('locks').description('look at locks: ls, show, watch, force-release');
  const load = () => import('./locks-commands.ts');

  const ls = locks
    .command('ls')
    .description('the locks that are not free')
    .option('--prefix <text>', 'only resources that begin with this')
    .addOption(new Option('--owner <text>', 'with a holder or a waiter of exactly this owner'))
    .addOption(new Option('--state <state,…>', LOCK_STATES.join(', ')).argParser(severalOf(LOCK_STATES)))
    .addHelpText(
      'after',
      '\nExamples:\n  leasehold locks ls --prefix billing/\n  leasehold locks ls --json | jq .',
    )
    .action(async (options) => (await load()).listLocks(options, env));
  withConnection(withJson(ls, JSON_LINES));

  const show = locks
    .command('show <resource>')
    .description('one lock, with its holders and waiters')
    .addHelpText('after', '\nExample:\n  leasehold locks show nightly-billing')
    .action(async (resource: string, options) => (await load()).showLock(resource, options, env));
  withConnection(withJson(show));

  const watch = locks
    .command('watch [resources...]')
    .description(
      'the locks as they are, and then each change, until Ctrl-C; all of them unless some are named',
    )
    .option('--prefix <text>', 'only resources that begin with this')
    .addHelpText(
      'after',
      '\nExamples:\n  leasehold locks watch scheduler\n  leasehold locks watch --prefix billing/ --json',
    )
    .action(async (resources: string[], options) => (await load()).watchLocks(resources, options, env));
  withConnection(withJson(watch, JSON_LINES));

  const force = locks
    .command('force-release <resource>')
    .description(
      paragraph(`take a lock away from its holders, as an administrator: they are told, and the resource is free at the
        deadline that was promised to them`),
    )
    .addOption(
      new Option('--fencing-token <token>', 'only the lease with this token').argParser(fencingToken),
    )
    .option('--immediate', 'free it now, although its holder may be at work')
    .option('--reason <text>', "for the server's log")
    .addHelpText(
      'after',
      '\nExample:\n  leasehold locks force-release deploy --reason "host is gone" --token-file admin.token',
    )
    .action(async (resource: string, options) => (await load()).forceRelease(resource, options, env));
  withConnection(withJson(force));
}

export function addOpsCommands(program: Command, env: Env): void {
  const ops = program
    .command('ops')
    .description('look at long-running operations and steer them: ls, show, wait, watch, cancel, retry');
  const load = () => import('./ops-commands.ts');

  const ls = ops
    .command('ls')
    .description('the operations')
    .addHelpText(
      'after',
      '\nExamples:\n  leasehold ops ls --state failed,dead\n  leasehold ops ls --type mail --json | jq .',
    )
    .action(async (options) => (await load()).listOperations(options, env));
  withConnection(withJson(withFilter(ls), JSON_LINES));

  const show = ops
    .command('show <resource> <id>')
    .description('one operation, with its data, progress and result')
    .addHelpText('after', '\nExample:\n  leasehold ops show reports/monthly 2026-11')
    .action(async (resource: string, id: string, options) =>
      (await load()).showOperation(resource, id, options, env),
    );
  withConnection(withJson(show));

  const wait = ops
    .command('wait <resource> <id>')
    .description('wait until it is done and print its result; exit code 1 unless it succeeded')
    .addOption(
      new Option('--wait <duration>', 'how long: forever, 30s')
        .argParser(waiting)
        .default(Number.POSITIVE_INFINITY, 'forever'),
    )
    .addHelpText('after', '\nExample:\n  leasehold ops wait reports/monthly 2026-11 --wait 10m')
    .action(async (resource: string, id: string, options) =>
      (await load()).waitForOperation(resource, id, options, env),
    );
  withConnection(withJson(wait));

  const watch = ops
    .command('watch')
    .description('the operations as they are, and then each change, until Ctrl-C')
    .addHelpText('after', '\nExample:\n  leasehold ops watch --type mail --json')
    .action(async (options) => (await load()).watchOperations(options, env));
  withConnection(withJson(withFilter(watch), JSON_LINES));

  const cancel = ops
    .command('cancel <resource> <id>')
    .description(
      'ask for its cancellation: a pending one is cancelled at once, the worker of a running one is told',
    )
    .option('--reason <text>', 'for its worker and whoever looks at it')
    .addHelpText('after', '\nExample:\n  leasehold ops cancel reports/monthly 2026-11 --reason "wrong month"')
    .action(async (resource: string, id: string, options) =>
      (await load()).cancelOperation(resource, id, options, env),
    );
  withConnection(withJson(cancel));

  const retry = ops
    .command('retry <resource> <id>')
    .description('make a failed or dead one pending again')
    .addHelpText('after', '\nExample:\n  leasehold ops retry reports/monthly 2026-11')
    .action(async (resource: string, id: string, options) =>
      (await load()).retryOperation(resource, id, options, env),
    );
  withConnection(withJson(retry));
}

function withFilter(command: Command): Command {
  return command
    .option('--resource <name>', 'only of this resource')
    .option('--prefix <text>', 'only of resources that begin with this')
    .addOption(new Option('--type <type,…>', 'only of these types').argParser(several))
    .addOption(
      new Option('--state <state,…>', OPERATION_STATES.join(', ')).argParser(severalOf(OPERATION_STATES)),
    )
    .option('--owner <text>', 'run, now or last, by exactly this owner')
    .option('--label <key=value>', 'only with this label; may be repeated', pairs);
}
