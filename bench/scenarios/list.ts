// Lists of many locks and operations: what a page costs at the beginning, in the middle and at the end, and whether a
// script keeps everybody else waiting. A page costs the same wherever it is and however long the list is. The records
// are copies (copied-records.ts). The floor is a script that reads as many names and their hashes, called directly from
// ioredis.
import { randomInt } from 'node:crypto';
import type { Redis } from 'ioredis';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { keysFor } from '../../src/store/redis/keys.ts';
import { CopiedRecords, copyName } from '../copied-records.ts';
import { median, ofMany } from '../figures.ts';
import type { Listed, ListOrder, ListSeen } from '../loads/list.ts';
import { measured } from '../measured.ts';
import type { Rig } from '../rig.ts';
import type { Found, Scenario, Scope } from '../scenario.ts';

const TEMPLATE = 'bench-template';
const PREFIX = 'bench/';
const PAGE = 100;
const PAGES = 30;
const LARGEST_PAGE = 500;
const ALL_PAGES = 1_000_000;
/** Long enough that the copied locks don't expire meanwhile. */
const TTL_MS = 600_000;
const PLACES = ['at the beginning', 'in the middle', 'at the end'] as const;
const CHECKED = 20;
const SLOW_US = 200;
const RECORDED = 100_000;

const FLOOR = `
local names = redis.call('ZRANGE', KEYS[1], '(' .. ARGV[2], '+', 'BYLEX', 'LIMIT', 0, ARGV[3])
local reply = {}
for i, name in ipairs(names) do reply[i] = redis.call('HGETALL', ARGV[1] .. name) end
return { names[#names] or '', reply }`;

export const list: Scenario = {
  name: 'list',
  title: 'Pages of long lists (floor: a script that reads as many names and records, without a server)',
  async run(rig, scope) {
    const found: Found[] = [];
    for (const what of ['operations', 'locks'] as const) found.push(...(await ofKind(rig, scope, what)));
    return found;
  },
};

async function ofKind(rig: Rig, { quick }: Scope, what: Listed): Promise<readonly Found[]> {
  const backend = await rig.redis();
  const leasehold = await rig.leasehold(backend, { LEASEHOLD_LOCKS_MAX_TTL: '10m' });
  const generator = rig.generator();
  const address = formatHostPort(leasehold.address);
  const record = (kind: 'write' | 'check', resource: string): Promise<unknown> =>
    generator.order({ kind, address, what, resource, ttlMs: TTL_MS });
  const read = (order: Pick<ListOrder, 'pageSize' | 'token' | 'pages' | 'times'>): Promise<ListSeen> =>
    generator.order({ kind: 'list', address, what, ...order });
  const redis = backend.redis.client();
  await record('write', TEMPLATE);
  const copies = await CopiedRecords.of(redis, TEMPLATE, PREFIX);
  const found: Found[] = [];
  for (const count of quick ? [5_000, 50_000] : [10_000, 100_000, 1_000_000]) {
    await copies.grow(count - 1);
    for (let time = 0; time < CHECKED; time++) await record('check', copyName(PREFIX, randomInt(count - 1)));
    await logSlowScripts(redis);
    const walk = await measured(leasehold, backend, () =>
      read({ pageSize: LARGEST_PAGE, token: '', pages: ALL_PAGES, times: 1 }),
    );
    const { seen } = walk;
    if (seen.records !== count) throw new Error(`${seen.records} of ${count} ${what} are listed`);
    const tokenAt = (position: number): string => seen.tokens[Math.floor(position / LARGEST_PAGE) - 1] ?? '';
    const begins = {
      'at the beginning': 0,
      'in the middle': count / 2,
      'at the end': count - PAGES * PAGE,
    };
    const named = (figure: string) => ofMany(count, what, figure);
    const p50s: number[] = [];
    for (const place of PLACES) {
      const token = tokenAt(begins[place]);
      const { page } = await read({ pageSize: PAGE, token, pages: PAGES, times: quick ? 3 : 10 });
      const floor = await floorOf(redis, what, begins[place]);
      found.push(
        {
          ...named(`page of ${PAGE} ${place}, p50`),
          unit: 'ms',
          value: page.p50Ms,
          floor,
          ratio: page.p50Ms / floor,
          better: 'less',
        },
        { ...named(`page of ${PAGE} ${place}, p99`), unit: 'ms', value: page.p99Ms, better: 'less' },
      );
      p50s.push(page.p50Ms);
    }
    const slow = await slowScriptsMs(redis);
    found.push(
      {
        ...named('a page at the end against one at the beginning'),
        unit: '',
        value: (p50s.at(-1) ?? Number.NaN) / (p50s[0] ?? Number.NaN),
        budget: { of: 'value', atMost: 1.5 },
        better: 'less',
      },
      { ...named('the longest script'), unit: 'ms', value: slow.longest, better: 'less' },
      { ...named('1 of 100 scripts takes longer than'), unit: 'ms', value: slow.p99, better: 'less' },
      {
        ...named(`Redis commands per page of ${LARGEST_PAGE}`),
        unit: '',
        value: walk.redisCommands / seen.pages,
        steady: 'value',
        better: 'less',
      },
      { ...named('server CPU per record'), unit: 'us', value: walk.cpuUs / count, better: 'less' },
      { ...named('Redis CPU per record'), unit: 'us', value: walk.redisCpuUs / count, better: 'less' },
      { ...named('from the first to the last'), unit: 's', value: seen.tookMs / 1_000, better: 'less' },
    );
  }
  await backend.redis.stop();
  return found;
}

async function floorOf(redis: Redis, what: Listed, from: number): Promise<number> {
  const { names, lockPrefix, meta } = keysFor('leasehold:');
  const operations = meta.replace(/meta$/, 'operations');
  const [set, prefix] =
    what === 'locks' ? [names, lockPrefix] : [operations, meta.replace(/meta$/, 'operation:')];
  const sha = String(await redis.script('LOAD', FLOOR));
  const tookMs: number[] = [];
  let last = copyName(PREFIX, from);
  for (let page = 0; page < PAGES; page++) {
    const startedMs = performance.now();
    const reply = await redis.evalsha(sha, 1, set, prefix, last, PAGE);
    tookMs.push(performance.now() - startedMs);
    last = String((reply as unknown[])[0]); // what the script returns
  }
  return median(tookMs);
}

async function logSlowScripts(redis: Redis): Promise<void> {
  await redis.config('SET', 'slowlog-log-slower-than', SLOW_US, 'slowlog-max-len', RECORDED);
  await redis.slowlog('RESET');
}

async function slowScriptsMs(redis: Redis): Promise<{ longest: number; p99: number }> {
  // As Redis documents it: an id, the time, the duration, and the command.
  const entries = (await redis.slowlog('GET', RECORDED)) as [number, number, number, string[]][];
  const scripts = entries.filter(([, , , [command]]) => command?.toUpperCase() === 'EVALSHA');
  const tookMs = scripts.map(([, , us]) => us / 1_000).toSorted((a, b) => a - b);
  return {
    longest: tookMs.at(-1) ?? Number.NaN,
    p99: tookMs[Math.floor(tookMs.length * 0.99)] ?? Number.NaN,
  };
}
