// The Lua scripts: one file per command, before each body what it uses of the shared parts. Owns their text and their
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
  'confirm-offer',
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
  const operationRecords = read('operation-records.lua');
  const operating = read('operating.lua');
  const operationViews = read('operation-views.lua');
  const entries = SCRIPT_NAMES.map((name) => {
    const body = read(`${name}.lua`);
    const endOfShebang = body.indexOf('\n') + 1;
    const shared = [
      prelude,
      WITHOUT_LOCKING.includes(name) ? '' : locking,
      WITH_VIEWS.includes(name) ? views : '',
      WITH_OPERATIONS.test(name) ? operationRecords + operating : '',
      WITH_OPERATION_VIEWS.test(name) ? operationViews : '',
    ].join('');
    const rest = body.slice(endOfShebang);
    const source = edit(body.slice(0, endOfShebang) + usedOf(shared, rest) + rest, name);
    return [name, { name, source, sha1: createHash('sha1').update(source).digest('hex') }] as const;
  });
  // Every name is there: the entries come from the list.
  return Object.fromEntries(entries) as Record<ScriptName, Script>;
}

/** A function of a shared part: on one line, or to the next `end` that isn't indented. */
const FUNCTION = /^local function (\w+)(?:.* end|.*\n[\s\S]*?^end)\n/gm;

// Redis makes a new closure for every function that a script defines, each time it runs: of seventy it would use a
// third. What stays behind can only be named by what follows it, so one look from the end finds all.
function usedOf(shared: string, body: string): string {
  const uncommented = (text: string): string => text.replaceAll(/--.*/g, '');
  let used = uncommented(body);
  let kept = shared;
  for (const { 0: text, 1: name, index } of [...shared.matchAll(FUNCTION)].toReversed()) {
    if (new RegExp(`\\b${name}\\(`).test(used)) used += uncommented(text);
    else kept = kept.slice(0, index) + kept.slice(index + text.length);
  }
  return kept;
}
