// Can Redis drop locks when memory runs short, how close is that, and is there room for connections?

import { error, info, type Judgement, ok, warning } from '../examination.ts';
import type { Check, Examined } from '../facts.ts';
import { setting } from '../redis-cli-text.ts';
import { bytesText, numberIn, ofEach } from './node-judgements.ts';

const NEARLY_FULL = 0.8;
const FULL = 0.95;
/** deploy/redis/redis.conf: up to these, Redis packs the record of a lock. */
const PACKED_VALUE = 512;
const PACKED_ENTRIES = 128;

export const MEMORY_CHECKS: readonly Check[] = [
  {
    name: 'eviction',
    about: '`maxmemory-policy` is `noeviction` on every node, and no key was evicted.',
    judge: eviction,
  },
  {
    name: 'memory',
    about: '`maxmemory` is set, and less than 80 % of it is used.',
    judge: memory,
  },
  {
    name: 'connections',
    about: 'Less than 80 % of `maxclients` are connected, and no connection was refused.',
    judge: connections,
  },
  {
    name: 'packed-hashes',
    about: '`hash-max-listpack-value` and `-entries` let Redis pack the record of a lock.',
    judge: packedHashes,
  },
];

function eviction(examined: Examined): readonly Judgement[] {
  const { redis } = examined;
  return ofEach(
    examined,
    ({ info: fields }) => fields,
    (subject, fields, { address }) => {
      const policy = fields.get('maxmemory_policy');
      const evicted = numberIn(fields, 'evicted_keys') ?? 0;
      if (policy === undefined) return undefined;
      const fix = setting(redis, address, 'maxmemory-policy', 'noeviction');
      const why = 'Redis drops live locks when memory runs short, and others get them';
      if (policy !== 'noeviction') {
        const told = { seen: `maxmemory-policy is ${policy}`, why, fix };
        return policy === redis.allowEvictionPolicy ? warning(subject, told) : error(subject, told);
      }
      if (evicted === 0) return ok(subject, 'maxmemory-policy is noeviction, nothing was evicted');
      return warning(subject, {
        seen: `${evicted} keys were evicted since Redis started; maxmemory-policy is noeviction now`,
        why: 'locks may be among them: their holders found out at the next renewal',
        fix: 'find out who changed maxmemory-policy; the count starts anew with the next restart of Redis',
      });
    },
  );
}

function memory(examined: Examined): readonly Judgement[] {
  const { redis } = examined;
  return ofEach(
    examined,
    ({ info: fields }) => fields,
    (subject, fields, { address }) => {
      const [most, used] = [numberIn(fields, 'maxmemory'), numberIn(fields, 'used_memory')];
      if (most === undefined || used === undefined) return undefined;
      if (most === 0) {
        return warning(subject, {
          seen: 'maxmemory is not set',
          why: 'when the machine runs out of memory, the kernel ends Redis, where a full Redis would only refuse new locks',
          fix: setting(
            redis,
            address,
            'maxmemory',
            suggestedMaxmemory(numberIn(fields, 'total_system_memory')),
          ),
        });
      }
      const seen = `${bytesText(used)} of ${bytesText(most)} are used (${Math.round((100 * used) / most)} %)`;
      if (used < NEARLY_FULL * most) return ok(subject, seen);
      const machine = numberIn(fields, 'total_system_memory') ?? 0;
      const told = {
        seen,
        why: 'a full Redis refuses new locks; held ones can still be renewed and released',
        fix:
          machine > 0 && 2 * most > machine
            ? `the machine has ${bytesText(machine)}: give it more memory, or look what fills it (docs/runbooks.md, "Full memory")`
            : setting(redis, address, 'maxmemory', String(2 * most)),
      };
      return used < FULL * most ? warning(subject, told) : error(subject, told);
    },
  );
}

/** Half of the machine: a fork for the snapshot needs the rest in the worst case. */
function suggestedMaxmemory(total: number | undefined): string {
  return total === undefined || total === 0 ? '1gb' : `${Math.max(1, Math.floor(total / 2 / 2 ** 20))}mb`;
}

function connections(examined: Examined): readonly Judgement[] {
  const { redis } = examined;
  return ofEach(
    examined,
    ({ info: fields }) => fields,
    (subject, fields, { address }) => {
      const [now, most] = [numberIn(fields, 'connected_clients'), numberIn(fields, 'maxclients')];
      const refused = numberIn(fields, 'rejected_connections') ?? 0;
      if (now === undefined || most === undefined) return undefined;
      const seen = `${now} of ${most} connections`;
      if (now < NEARLY_FULL * most && refused === 0) return ok(subject, seen);
      return warning(subject, {
        seen: refused === 0 ? seen : `${seen}; ${refused} were refused since Redis started`,
        why: 'an instance that is refused has no Redis until others leave',
        fix: setting(redis, address, 'maxclients', String(2 * most)),
      });
    },
  );
}

function packedHashes(examined: Examined): readonly Judgement[] {
  const { redis } = examined;
  return ofEach(
    examined,
    ({ settings }) => settings,
    (subject, settings, { address }) => {
      const value = numberIn(settings, 'hash-max-listpack-value');
      const entries = numberIn(settings, 'hash-max-listpack-entries');
      if (value === undefined || entries === undefined) return undefined;
      const seen = `hash-max-listpack-value is ${value}, hash-max-listpack-entries is ${entries}`;
      if (value >= PACKED_VALUE && entries >= PACKED_ENTRIES) return ok(subject, seen);
      const set = (name: string, least: number): string => setting(redis, address, name, String(least));
      return info(subject, {
        seen,
        why: 'Redis does not pack the record of a lock, which takes a third more memory than it must',
        fix: [
          ...(value < PACKED_VALUE ? [set('hash-max-listpack-value', PACKED_VALUE)] : []),
          ...(entries < PACKED_ENTRIES ? [set('hash-max-listpack-entries', PACKED_ENTRIES)] : []),
        ].join(' && '),
      });
    },
  );
}
