// The Lua scripts: one file per command, and before each body what it uses of the domain's numbers and of the shared
// parts (compose-script.ts). The bodies of some are also in one script that runs many of them. Owns their text and
// their hashes, not how they are sent (command-lane.ts, command-batches.ts) or what their replies mean
// (redis-lock-store.ts, reign.ts).

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { composeScript } from './compose-script.ts';
import { CONSTANTS_IN_LUA } from './script-constants.ts';

const SCRIPT_NAMES = [
  'acquire-lock',
  'adopt-reign',
  'advance-queue',
  'answer-attempts',
  'answer-roll-call',
  'batch',
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
  'join-reign',
  'leave-queue',
  'leave-registry',
  'list-locks',
  'list-operations',
  'mark-commit',
  'read-contention',
  'refresh-instance',
  'register-instance',
  'release-lock',
  'renew-locks',
  'retry-operation',
  'tick-clock',
  'update-operation',
  'watch-changes',
  'write-contention',
  'yield-operation',
] as const;

/** A batch can hold these: what locks are taken, kept and given back with. What may take long runs alone. */
const BATCHED: readonly ScriptName[] = [
  'acquire-lock',
  'advance-queue',
  'check-fencing-token',
  'confirm-offer',
  'leave-queue',
  'release-lock',
  'renew-locks',
];
const BODIES = /^--BODIES$/m;
const ALLOWS_OOM = '#!lua flags=allow-oom\n';

/** They stand before the body of every script, in this order: a part uses only those before it. */
const SHARED_PARTS = [
  'prelude',
  'locking',
  'lock-views',
  'operation-records',
  'operating',
  'operation-views',
] as const;

/** The last: the batch that also runs when Redis is out of memory. */
export type ScriptName = (typeof SCRIPT_NAMES)[number] | 'batch-when-full';

export interface Script {
  readonly name: ScriptName;
  readonly source: string;
  readonly sha1: string;
  /** Whether a batch can hold it. */
  readonly isBatched: boolean;
  /** Whether it also runs when Redis is out of memory. */
  readonly allowsOom: boolean;
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
  const parts = [CONSTANTS_IN_LUA, ...SHARED_PARTS.map((part) => read(`${part}.lua`))].join('');
  const bodies = BATCHED.map((name) => functionOf(name, cut(read(`${name}.lua`)).body)).join('');
  const made = (name: ScriptName, text: string, shebang = cut(text).shebang): Script => {
    const body = cut(text).body.replace(BODIES, () => bodies);
    const source = edit(shebang + composeScript(parts, body), name);
    const sha1 = createHash('sha1').update(source).digest('hex');
    return { name, source, sha1, isBatched: BATCHED.includes(name), allowsOom: shebang === ALLOWS_OOM };
  };
  const scripts = SCRIPT_NAMES.map((name) => made(name, read(`${name}.lua`)));
  // Redis asks the flags of a script whether it can run, so the same text is there with either.
  scripts.push(made('batch-when-full', read('batch.lua'), ALLOWS_OOM));
  // Every name is there: the entries come from the list.
  return Object.fromEntries(scripts.map((script) => [script.name, script])) as Record<ScriptName, Script>;
}

function cut(text: string): { readonly shebang: string; readonly body: string } {
  const end = text.indexOf('\n') + 1;
  return { shebang: text.slice(0, end), body: text.slice(end) };
}

/** A command of a batch. What it finds as globals when it is alone, and what is done once for all, it is given. */
function functionOf(name: ScriptName, body: string): string {
  return `commands['${name}'] = function(KEYS, ARGV, enter, advance)\n${body}end\n`;
}
