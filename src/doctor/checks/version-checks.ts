// Which Redis or Valkey runs, held against the versions in which known holes are closed. Only holes that matter to a
// Redis that others can reach are listed: its own release notes have all.

import { error, type Judgement, ok, warning } from '../examination.ts';
import type { Check, Examined, Fields } from '../facts.ts';
import { ofEach } from './node-judgements.ts';

type Version = readonly [major: number, minor: number, patch: number];
type Engine = 'Redis' | 'Valkey';

interface Hole {
  readonly names: string;
  readonly allows: string;
  /** The first version of each line that is without it. A line after the newest of these never had it. */
  readonly closedIn: Readonly<Record<Engine, readonly Version[]>>;
  /** Only where Redis itself speaks TLS. */
  readonly withTls?: true;
}

/** Leasehold itself refuses to serve with an older one. */
const OLDEST_MAJOR = 7;

export const HOLES: readonly Hole[] = [
  {
    names: 'CVE-2025-49844, -46817, -46818, -46819',
    allows: 'a user who may run scripts can run code in Redis',
    closedIn: {
      Redis: [
        [6, 2, 20],
        [7, 2, 11],
        [7, 4, 6],
        [8, 0, 4],
        [8, 2, 2],
      ],
      Valkey: [
        [7, 2, 11],
        [8, 0, 6],
        [8, 1, 4],
      ],
    },
  },
  {
    names: 'CVE-2026-23479, CVE-2026-25243',
    allows: 'a user who is logged in can run code in Redis',
    closedIn: {
      // 7.2.16 is the first of its line that is known to have the fix.
      Redis: [
        [7, 2, 16],
        [7, 4, 9],
        [8, 2, 6],
        [8, 4, 3],
        [8, 6, 3],
      ],
      Valkey: [
        [8, 0, 8],
        [8, 1, 7],
        [9, 0, 4],
      ],
    },
  },
  {
    names: 'CVE-2026-81934',
    allows: 'anybody who reaches its TLS port can run code in Redis, without a password',
    closedIn: {
      Redis: [
        [6, 2, 24],
        [7, 2, 16],
        [7, 4, 11],
        [8, 2, 9],
        [8, 4, 6],
        [8, 6, 6],
        [8, 8, 2],
        [8, 10, 1],
      ],
      Valkey: [],
    },
    withTls: true,
  },
];

export const VERSION_CHECKS: readonly Check[] = [
  {
    name: 'version',
    about:
      'Each node has a version of Redis or Valkey without known holes through which a client can run code.',
    judge: version,
  },
];

function version(examined: Examined): readonly Judgement[] {
  return ofEach(
    examined,
    ({ info }) => info,
    (subject, fields) => {
      const running = runningVersion(fields);
      if (!running) return undefined;
      const { engine, number } = running;
      const name = `${engine} ${number.join('.')}`;
      if (number[0] < OLDEST_MAJOR) return tooOld(subject, name);
      const open = HOLES.filter(({ withTls }) => !withTls || examined.redis.tls !== undefined).filter(
        ({ closedIn }) => isOpen(number, closedIn[engine]),
      );
      if (open.length === 0) return ok(subject, name);
      const needed = newest(open.map(({ closedIn }) => closedFor(number, closedIn[engine])));
      return warning(subject, {
        seen: `${name} has known holes by its number: ${open.map(({ names }) => names).join('; ')}`,
        why: `${open.map(({ allows }) => allows).join('; ')}. Distributions such as Debian close holes and keep the number: then look for these names in the changelog of the package`,
        fix: `upgrade to ${engine} ${needed.join('.')} or newer: the replicas first, then SENTINEL FAILOVER, then the former primary`,
      });
    },
  );
}

function tooOld(subject: string, name: string): Judgement {
  return error(subject, {
    seen: `${name} runs`,
    why: 'Leasehold needs Redis 7.0 or newer, and refuses to serve with an older one',
    fix: 'upgrade Redis: the replicas first, then SENTINEL FAILOVER, then the former primary',
  });
}

function runningVersion(fields: Fields): { readonly engine: Engine; readonly number: Version } | undefined {
  const valkey = fields.get('valkey_version');
  const [, major, minor, patch] =
    /^(\d+)\.(\d+)\.(\d+)/.exec(valkey ?? fields.get('redis_version') ?? '') ?? [];
  if (major === undefined) return undefined;
  const engine = valkey === undefined ? 'Redis' : 'Valkey';
  return { engine, number: [Number(major), Number(minor), Number(patch)] };
}

/** A line that has no fix of its own is open, unless it is newer than all that needed one. */
export function isOpen(running: Version, closedIn: readonly Version[]): boolean {
  const line = closedIn.find(([major, minor]) => major === running[0] && minor === running[1]);
  if (line) return running[2] < line[2];
  const last = closedIn.at(-1);
  return last !== undefined && isBefore(running, last);
}

/** What to upgrade to: the fix of its own line, or else the next line that has one. */
function closedFor(running: Version, closedIn: readonly Version[]): Version {
  const [major, minor] = running;
  const own = closedIn.find((closed) => closed[0] === major && closed[1] === minor);
  return own ?? closedIn.find((closed) => isBefore(running, closed)) ?? running;
}

function newest(versions: readonly Version[]): Version {
  return versions.reduce((one, other) => (isBefore(one, other) ? other : one));
}

function isBefore(one: Version, other: Version): boolean {
  const at = one.findIndex((number, index) => number !== other[index]);
  return at >= 0 && (one[at] ?? 0) < (other[at] ?? 0);
}
