// Makes many records in Redis in a fraction of the time that calls would take: the server writes one record, and a
// script copies it for other resources. It doesn't know the form of any record: it looks for every key, and every
// member of a sorted set or hash, in which the resource's name occurs, and refuses what it can't copy faithfully.
import type { Redis } from 'ioredis';

/** A text that contains the resource's name, with the name cut out. */
interface Around {
  readonly before: string;
  readonly after: string;
}

interface Found {
  /** The keys that belong to the resource alone. */
  readonly keys: readonly Around[];
  /** Members of sorted sets that hold other resources, too. */
  readonly members: readonly (Around & { readonly set: string; readonly score: string })[];
  /** Fields of hashes that hold other resources, too. */
  readonly fields: readonly (Around & { readonly hash: string; readonly value: string })[];
}

const BATCH = 2_000;

// ARGV: the template; the first and last number of the copies; the counts of keys, members and fields; the beginning of
// the copies' names; then, for each key, member and field, what `grow` lays out.
const COPY = `
local template, from, to = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local keys, members, fields = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
for number = from, to do
  local name, at = ARGV[7] .. string.format('%08d', number), 8
  for i = 1, keys do
    redis.call('COPY', ARGV[at] .. template .. ARGV[at + 1], ARGV[at] .. name .. ARGV[at + 1])
    at = at + 2
  end
  for i = 1, members do
    redis.call('ZADD', ARGV[at], ARGV[at + 1], ARGV[at + 2] .. name .. ARGV[at + 3])
    at = at + 4
  end
  for i = 1, fields do
    redis.call('HSET', ARGV[at], ARGV[at + 2] .. name .. ARGV[at + 3], ARGV[at + 1])
    at = at + 4
  end
end`;

/** The name of a copy's resource. */
export function copyName(prefix: string, number: number): string {
  return prefix + String(number).padStart(8, '0');
}

export class CopiedRecords {
  readonly #redis: Redis;
  readonly #template: string;
  readonly #prefix: string;
  readonly #found: Found;
  #count = 0;

  private constructor(redis: Redis, template: string, prefix: string, found: Found) {
    this.#redis = redis;
    this.#template = template;
    this.#prefix = prefix;
    this.#found = found;
  }

  /** Finds what was written for this resource, while Redis holds little else. No other name contains this one. */
  static async of(redis: Redis, template: string, prefix: string): Promise<CopiedRecords> {
    const around = (text: string): Around => {
      const at = text.indexOf(template);
      return { before: text.slice(0, at), after: text.slice(at + template.length) };
    };
    const found = {
      keys: [] as Around[],
      members: [] as Found['members'][number][],
      fields: [] as Found['fields'][number][],
    };
    for (const key of await redis.keys('*')) {
      if (key.includes(template)) {
        const texts = Object.entries(await redis.hgetallBuffer(key));
        const isNamed = texts.some(([field, value]) => field.includes(template) || value.includes(template));
        if (isNamed) throw new Error(`${key} contains its own name: it can't be copied`);
        found.keys.push(around(key));
        continue;
      }
      const type = await redis.type(key);
      if (type === 'zset') {
        const all = await redis.zrange(key, '0', '-1', 'WITHSCORES');
        for (let i = 0; i < all.length; i += 2) {
          const [member = '', score = ''] = [all[i], all[i + 1]];
          if (member.includes(template)) found.members.push({ set: key, score, ...around(member) });
        }
      } else if (type === 'hash') {
        for (const [field, value] of Object.entries(await redis.hgetall(key))) {
          if (value.includes(template)) throw new Error(`${key} ${field} contains the name: not copied`);
          if (field.includes(template)) found.fields.push({ hash: key, value, ...around(field) });
        }
      } else if (type !== 'string') {
        throw new Error(`${key} is a ${type}: it isn't looked at for the name`);
      }
    }
    if (found.keys.length === 0) throw new Error(`nothing is recorded of ${template}`);
    return new CopiedRecords(redis, template, prefix, found);
  }

  /** Grows the number of copies to this. */
  async grow(count: number): Promise<void> {
    const { keys, members, fields } = this.#found;
    const parts = [
      ...keys.flatMap(({ before, after }) => [before, after]),
      ...members.flatMap(({ set, score, before, after }) => [set, score, before, after]),
      ...fields.flatMap(({ hash, value, before, after }) => [hash, value, before, after]),
    ];
    const sha = String(await this.#redis.script('LOAD', COPY));
    const counts = [keys.length, members.length, fields.length];
    for (let from = this.#count; from < count; from += BATCH) {
      const to = Math.min(from + BATCH, count) - 1;
      const numbers = [from, to, ...counts].map(String);
      await this.#redis.evalsha(sha, 0, this.#template, ...numbers, this.#prefix, ...parts);
    }
    this.#count = Math.max(this.#count, count);
  }
}
