// A system clock that a test moves: the Lua scripts read it from a hash instead of TIME, with a command that every user
// of Leasehold has the right to; the memory store reads it through a function. The rest of the scripts stays as it is,
// so that tests compare and prove the shipped text.

import { loadScripts, type Scripts } from '../../src/store/redis/scripts.ts';

const TIME_LINE = /^local function time_us\(\) .*$/m;
const SUFFIX = ':test-time-us';

/** The shipped scripts, reading the time of `meta`'s deployment from a key. */
export function scriptsOnVirtualTime(): Scripts {
  return loadScripts((source, name) => {
    if (!TIME_LINE.test(source)) throw new Error(`${name}: the line that reads the time is gone`);
    return source.replace(
      TIME_LINE,
      `local function time_us() return tonumber(redis.call('HGET', KEYS[1] .. '${SUFFIX}', 'us')) end`,
    );
  });
}

/** The hash that `scriptsOnVirtualTime` read, in the field `us`; set it before the store is made. */
export function virtualTimeKey(metaKey: string): string {
  return metaKey + SUFFIX;
}

export function virtualTimeValue(nowMs: number): string {
  return String(Math.round(nowMs * 1_000));
}
