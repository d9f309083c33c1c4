// The Lua scripts: one file per command, the shared parts put before each body. Owns their text and their
// hashes, not how they are sent (command-lane.ts) or what their replies mean (redis-lock-store.ts,
// primary-keeper.ts).

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const SCRIPT_NAMES = [
  'acquire-lock',
  'adopt-reign',
  'advance-queue',
  'check-fencing-token',
  'confirm-claim',
  'force-release',
  'get-lock',
  'leave-queue',
  'mark-commit',
  'refresh-instance',
  'release-lock',
  'renew-locks',
  'tick-clock',
] as const;

/** These change no queue and need no more than the prelude. */
const WITHOUT_LOCKING: readonly string[] = ['adopt-reign', 'mark-commit', 'refresh-instance', 'renew-locks'];

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
  const entries = SCRIPT_NAMES.map((name) => {
    const body = read(`${name}.lua`);
    const endOfShebang = body.indexOf('\n') + 1;
    const shared = WITHOUT_LOCKING.includes(name) ? prelude : prelude + locking;
    const source = edit(body.slice(0, endOfShebang) + shared + body.slice(endOfShebang), name);
    return [name, { name, source, sha1: createHash('sha1').update(source).digest('hex') }] as const;
  });
  // Every name is there: the entries come from the list.
  return Object.fromEntries(entries) as Record<ScriptName, Script>;
}
