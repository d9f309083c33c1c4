// The Lua scripts: one file per command, the shared parts put before each body. Owns their text and their
// hashes, not how they are sent (command-lane.ts) or what their replies mean (redis-lock-store.ts,
// primary-keeper.ts).

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const SCRIPT_NAMES = [
  'acquire-lock',
  'adopt-reign',
  'advance-queue',
  'begin-operation',
  'cancel-operation',
  'check-fencing-token',
  'claim-operations',
  'complete-operation',
  'confirm-claim',
  'delete-operation',
  'force-release',
  'get-lock',
  'get-operations',
  'heartbeat-operations',
  'leave-queue',
  'list-locks',
  'list-operations',
  'mark-commit',
  'refresh-instance',
  'release-lock',
  'renew-locks',
  'retry-operation',
  'tick-clock',
  'update-operation',
  'watch-changes',
  'yield-operation',
] as const;

/** These change no queue and need no more than the prelude. */
const WITHOUT_LOCKING: readonly string[] = [
  'adopt-reign',
  'mark-commit',
  'refresh-instance',
  'renew-locks',
  'watch-changes',
];
/** These show locks to people. */
const WITH_VIEWS: readonly string[] = ['get-lock', 'list-locks'];

/** These answer with operations. */
const WITH_OPERATION_VIEWS = /-operations?$/;
/** These read or change operations. */
const WITH_OPERATIONS = /-operations?$|^tick-clock$/;

export type ScriptName = (typeof SCRIPT_NAMES)[number];

export interface Script {
  readonly name: ScriptName;
  readonly source: string;
  readonly sha1: string;
}

export type Scripts = Readonly<Record<ScriptName, Script>>;

/**
 * Reads the scripts from the `lua` folder beside this module. `edit` is for tests that take a mechanism out
 * or bring their own clock; it sees the composed source.
 */
export function loadScripts(
  edit: (source: string, name: ScriptName) => string = (source) => source,
): Scripts {
  const read = (file: string): string => readFileSync(new URL(`./lua/${file}`, import.meta.url), 'utf8');
  const prelude = read('prelude.lua');
  const locking = read('locking.lua');
  const views = read('lock-views.lua');
  const operating = read('operating.lua');
  const operationViews = read('operation-views.lua');
  const entries = SCRIPT_NAMES.map((name) => {
    const body = read(`${name}.lua`);
    const endOfShebang = body.indexOf('\n') + 1;
    const shared = [
      prelude,
      WITHOUT_LOCKING.includes(name) ? '' : locking,
      WITH_VIEWS.includes(name) ? views : '',
      WITH_OPERATIONS.test(name) ? operating : '',
      WITH_OPERATION_VIEWS.test(name) ? operationViews : '',
    ].join('');
    const source = edit(body.slice(0, endOfShebang) + shared + body.slice(endOfShebang), name);
    return [name, { name, source, sha1: createHash('sha1').update(source).digest('hex') }] as const;
  });
  // Every name is there: the entries come from the list.
  return Object.fromEntries(entries) as Record<ScriptName, Script>;
}
