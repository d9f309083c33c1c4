// The Lua scripts: one file per command, and before each body what it uses of the domain's numbers and of the shared
// parts (compose-script.ts). Owns their text and their hashes, not how they are sent (command-lane.ts) or what their
// replies mean (redis-lock-store.ts, reign.ts).

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

/** They stand before the body of every script, in this order: a part uses only those before it. */
const SHARED_PARTS = [
  'prelude',
  'locking',
  'lock-views',
  'operation-records',
  'operating',
  'operation-views',
] as const;

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
  const parts = [CONSTANTS_IN_LUA, ...SHARED_PARTS.map((part) => read(`${part}.lua`))].join('');
  const entries = SCRIPT_NAMES.map((name) => {
    const text = read(`${name}.lua`);
    const endOfShebang = text.indexOf('\n') + 1;
    const composed = text.slice(0, endOfShebang) + composeScript(parts, text.slice(endOfShebang));
    const source = edit(composed, name);
    return [name, { name, source, sha1: createHash('sha1').update(source).digest('hex') }] as const;
  });
  // Every name is there: the entries come from the list.
  return Object.fromEntries(entries) as Record<ScriptName, Script>;
}
