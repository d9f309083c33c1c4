// Whether the Redis user of a connection has the rights to all that an instance does: run the commands, and reach the
// keys and the channels of the bucket. Redis checks each command of a script when it comes to it. A user without a
// right could grant a lock, and fail in the middle of its release, after the first writes. So the rights are asked for
// beforehand, without running anything. docs/redis-acl.md has the user that fits.

import type { Connection } from './connection.ts';
import type { Keys } from './keys.ts';

/** Commands on keys, each with as many arguments as it needs at least. */
export const COMMANDS_ON_KEYS: readonly (readonly [name: string, ...args: string[]])[] = [
  ['del'],
  ['exists'],
  ['hdel', 'f'],
  ['hexists', 'f'],
  ['hget', 'f'],
  ['hgetall'],
  ['hincrby', 'f', '1'],
  ['hlen'],
  ['hmget', 'f'],
  ['hrandfield'],
  ['hset', 'f', 'v'],
  ['sadd', 'm'],
  ['smembers'],
  ['srem', 'm'],
  ['zadd', '1', 'm'],
  ['zcard'],
  ['zrange', '0', '-1'],
  ['zrank', 'm'],
  ['zrem', 'm'],
  ['zscore', 'm'],
];

/** How the names of keys go on behind the bucket's prefix. */
export const KEYS_OF_BUCKET: readonly string[] = [
  'meta',
  'absent',
  'bars',
  'claimable:',
  'claims',
  'contention',
  'deadlines',
  'instances',
  'lock:',
  'names',
  'offers:',
  'open',
  'operation-deadlines',
  'operation:',
  'operations',
  'patience',
  'queue:',
  'released',
  'waiters:',
];

/** The same for channels. */
export const CHANNELS_OF_BUCKET: readonly string[] = ['changes', 'instance:'];

/** Commands that name no key of ours; the name as rights are written. */
export const OTHER_COMMANDS: readonly (readonly [right: string, ...words: string[]])[] = [
  ['evalsha', 'evalsha', '-', '0'],
  ['script|load', 'script', 'load', '-'],
  ['info', 'info'],
  ['time', 'time'],
  ['wait', 'wait', '0', '0'],
];

/**
 * Replies the place of each command of its list that the user may not run, and why. What Redis says of a command that
 * it refuses is the only way to learn whether the command or its key is what the user has no right to; such a command
 * is not run, and the flag keeps any other from writing. It is not one of the scripts: it needs no reign.
 */
const ASK_FOR_RIGHTS = `#!lua flags=no-writes
local refused, at, place = {}, 1, 0
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  local words = { unpack(ARGV, at + 1, at + count) }
  at, place = at + 1 + count, place + 1
  local known, allowed = pcall(redis.acl_check_cmd, unpack(words))
  if not (known and allowed) then
    local reply = redis.pcall(unpack(words))
    refused[#refused + 1] = tostring(place)
    refused[#refused + 1] = type(reply) == 'table' and reply.err or ''
  end
end
return refused`;

interface Need {
  /** A whole command: Redis 8 answers no question about one that lacks an argument. */
  readonly words: readonly string[];
  /** What is missing if the user may not run it, unless Redis says that it is the command. */
  readonly right: string;
  /** If this is missing, it is the reason; `right` may be there. */
  readonly unlessLacking?: string;
}

/** The rights that the user lacks, as ACL SETUSER takes them. Rejects if it may not even ask. */
export async function lackingRights(
  connection: Connection,
  keys: Keys,
  timeoutMs: number,
): Promise<readonly string[]> {
  const needs = needsOf(keys);
  const list = needs.flatMap(({ words }) => [words.length, ...words]);
  const reply = await connection.callWithin(timeoutMs, 'EVAL', ASK_FOR_RIGHTS, 0, ...list);
  const refused = Array.isArray(reply) ? reply.map(String) : [];
  const lacking = new Set<string>();
  for (let i = 0; i + 1 < refused.length; i += 2) {
    const need = needs[Number(refused[i]) - 1];
    if (need === undefined || lacking.has(need.unlessLacking ?? '')) continue;
    lacking.add(isAboutCommand(refused[i + 1] ?? '') ? `+${need.words[0]}` : need.right);
  }
  return [...lacking];
}

/** The right that Redis has just named as missing, as far as its message tells; undefined for any other error. */
export function rightMissedBy(error: unknown): string | undefined {
  const text = error instanceof Error ? error.message : String(error);
  if (!/\bNOPERM\b/.test(text)) return undefined;
  const [, command] = /run the '([^']+)' command/.exec(text) ?? [];
  return command === undefined ? text : `+${command.toLowerCase()}`;
}

export function lackInWords(username: string | undefined, rights: readonly string[]): string {
  const user = username === undefined ? 'the default user of Redis' : `the Redis user "${username}"`;
  return `${user} has not all the rights that Leasehold needs: it lacks ${rights.join(' ')} (docs/redis-acl.md)`;
}

/** Redis 7.0 says "run this command", later versions name it. */
function isAboutCommand(refusal: string): boolean {
  return /\brun (this command|the '[^']+' command)|Unknown Redis command/.test(refusal);
}

/** What an instance asks for. */
export function needsOf({ bucket }: Keys): readonly Need[] {
  const [anyKey, anyChannel] = [`~${bucket}*`, `&${bucket}*`];
  return [
    ...OTHER_COMMANDS.map(([right, ...words]) => ({ words, right: `+${right}` })),
    ...CHANNELS_OF_BUCKET.map((name) => ({ words: ['publish', bucket + name, '-'], right: anyChannel })),
    // No script can subscribe, so Redis doesn't say whether the command or the channel was refused.
    ...CHANNELS_OF_BUCKET.map((name) => ({
      words: ['subscribe', bucket + name],
      right: '+subscribe',
      unlessLacking: anyChannel,
    })),
    ...COMMANDS_ON_KEYS.map(([name, ...args]) => ({
      words: [name, `${bucket}meta`, ...args],
      right: anyKey,
    })),
    ...KEYS_OF_BUCKET.map((name) => ({ words: ['hincrby', bucket + name, 'f', '1'], right: anyKey })),
  ];
}
