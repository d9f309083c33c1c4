// The commands that inspect and manage locks, operations and servers: their arguments, options and examples. What they
// do is in locks-actions.ts, ops-actions.ts and info-action.ts.

import { type Command, Option } from 'commander';
import {
  fencingToken,
  interval,
  number,
  pairs,
  paragraph,
  several,
  severalOf,
  waiting,
  withConnection,
  withJson,
} from './options.ts';
import type { Env } from './program-context.ts';

const JSON_LINES = 'print one JSON document per line';
const LOCK_STATES = ['held', 'min-hold'] as const;
const OPERATION_STATES = ['pending', 'running', 'succeeded', 'failed', 'cancelled', 'dead'] as const;

export function addInspectCommands(program: Command, env: Env): void {
  addLocksCommands(program, env);
  addOpsCommands(program, env);
  const info = program
    .command('info')
    .description('what the server says about itself: version, store, limits')
    .action(async (options) => (await import('./info-action.ts')).showInfo(options, env));
  withConnection(withJson(info));
}

function addLocksCommands(program: Command, env: Env): void {
  const locks = program
    .command('locks')
    .description('inspect and force-release locks: ls, show, watch, top, deadlocks, force-release');
  const load = () => import('./locks-actions.ts');
  const loadContention = () => import('./contention-actions.ts');

  const ls = locks
    .command('ls')
    .description('list the locks that are not free')
    .option('--prefix <text>', 'only resources whose name begins with this')
    .addOption(new Option('--owner <text>', 'only locks with a holder or a waiter of exactly this owner'))
    .addOption(
      new Option('--state <state,…>', `only these: ${LOCK_STATES.join(', ')}`).argParser(
        severalOf(LOCK_STATES),
      ),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  leasehold locks ls --prefix billing/\n  leasehold locks ls --json | jq .',
    )
    .action(async (options) => (await load()).listLocks(options, env));
  withConnection(withJson(ls, JSON_LINES));

  const show = locks
    .command('show <resource>')
    .description('show one lock with its holders and waiters')
    .addHelpText('after', '\nExample:\n  leasehold locks show nightly-billing')
    .action(async (resource: string, options) => (await load()).showLock(resource, options, env));
  withConnection(withJson(show));

  const watch = locks
    .command('watch [resources...]')
    .description(
      'print the locks as they are, then each change, until Ctrl-C; all locks unless you name some',
    )
    .option('--prefix <text>', 'only resources whose name begins with this')
    .addHelpText(
      'after',
      '\nExamples:\n  leasehold locks watch scheduler\n  leasehold locks watch --prefix billing/ --json',
    )
    .action(async (resources: string[], options) => (await load()).watchLocks(resources, options, env));
  withConnection(withJson(watch, JSON_LINES));

  const top = locks
    .command('top')
    .description('the locks for which calls have waited longest in the last minutes, on all servers')
    .addOption(new Option('--limit <n>', 'how many to list: 20 by default, 100 at most').argParser(number))
    .addOption(
      new Option('--watch [interval]', 'look again every 2s, or as often as you say, until Ctrl-C').argParser(
        interval,
      ),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  leasehold locks top --watch\n  leasehold locks top --limit 5 --json',
    )
    .action(async (options) => (await loadContention()).topLocks(options, env));
  withConnection(withJson(top));

  const deadlocks = locks
    .command('deadlocks')
    .description(
      'owners that seem to wait for each other, each for what the next one holds; exit code 1 if there are any',
    )
    .addHelpText('after', '\nExample:\n  leasehold locks deadlocks || page-somebody')
    .action(async (options) => (await loadContention()).listDeadlocks(options, env));
  withConnection(withJson(deadlocks));

  const force = locks
    .command('force-release <resource>')
    .description(
      paragraph(`force-release a lock (administrators only): its holders are told, and the resource becomes free at the
        deadline that they were promised`),
    )
    .addOption(
      new Option('--fencing-token <token>', 'force-release only the lease with this token').argParser(
        fencingToken,
      ),
    )
    .option('--immediate', 'free the resource now, although a holder may still be at work')
    .option('--reason <text>', "the reason, for the server's log")
    .addHelpText(
      'after',
      '\nExample:\n  leasehold locks force-release deploy --reason "host is gone" --token-file admin.token',
    )
    .action(async (resource: string, options) => (await load()).forceRelease(resource, options, env));
  withConnection(withJson(force));
}

function addOpsCommands(program: Command, env: Env): void {
  const ops = program
    .command('ops')
    .description('inspect and steer long-running operations: ls, show, wait, watch, cancel, retry');
  const load = () => import('./ops-actions.ts');

  const ls = ops
    .command('ls')
    .description('list operations')
    .addHelpText(
      'after',
      '\nExamples:\n  leasehold ops ls --state failed,dead\n  leasehold ops ls --type mail --json | jq .',
    )
    .action(async (options) => (await load()).listOperations(options, env));
  withConnection(withJson(withFilter(ls), JSON_LINES));

  const show = ops
    .command('show <resource> <id>')
    .description('show one operation with its data, progress and result')
    .addHelpText('after', '\nExample:\n  leasehold ops show reports/monthly 2026-11')
    .action(async (resource: string, id: string, options) =>
      (await load()).showOperation(resource, id, options, env),
    );
  withConnection(withJson(show));

  const wait = ops
    .command('wait <resource> <id>')
    .description('wait until an operation is done and print its result; exit code 1 unless it succeeded')
    .addOption(
      new Option('--wait <duration>', 'how long to wait: forever, or a duration such as 30s')
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
    .description('print the operations as they are, then each change, until Ctrl-C')
    .addHelpText('after', '\nExample:\n  leasehold ops watch --type mail --json')
    .action(async (options) => (await load()).watchOperations(options, env));
  withConnection(withJson(withFilter(watch), JSON_LINES));

  const cancel = ops
    .command('cancel <resource> <id>')
    .description(
      'cancel an operation: at once if it is pending; if it is running, its worker is asked to stop',
    )
    .option('--reason <text>', 'the reason, for its worker and for people who inspect it')
    .addHelpText('after', '\nExample:\n  leasehold ops cancel reports/monthly 2026-11 --reason "wrong month"')
    .action(async (resource: string, id: string, options) =>
      (await load()).cancelOperation(resource, id, options, env),
    );
  withConnection(withJson(cancel));

  const retry = ops
    .command('retry <resource> <id>')
    .description('make a failed or dead operation pending again')
    .addHelpText('after', '\nExample:\n  leasehold ops retry reports/monthly 2026-11')
    .action(async (resource: string, id: string, options) =>
      (await load()).retryOperation(resource, id, options, env),
    );
  withConnection(withJson(retry));
}

function withFilter(command: Command): Command {
  return command
    .option('--resource <name>', 'only operations of this resource')
    .option('--prefix <text>', 'only operations of resources whose name begins with this')
    .addOption(new Option('--type <type,…>', 'only operations of these types').argParser(several))
    .addOption(
      new Option('--state <state,…>', `only these: ${OPERATION_STATES.join(', ')}`).argParser(
        severalOf(OPERATION_STATES),
      ),
    )
    .option('--owner <text>', 'only operations whose current or last worker has exactly this owner')
    .option('--label <key=value>', 'only operations with this label; can be repeated', pairs);
}
