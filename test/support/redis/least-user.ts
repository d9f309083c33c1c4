// The Redis user that docs/redis-acl.md recommends, as tests log in: its rights are read from that page, so that what
// passes under them is what the page promises.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const PAGE = readFileSync(join(import.meta.dirname, '../../../docs/redis-acl.md'), 'utf8');

export const LEAST_USER = { username: 'leasehold', password: 'change-me' } as const;

/**
 * The rights, on this key prefix in place of the page's.
 * @param heading the section of the page.
 */
export function leastRights(
  heading: 'The user at Redis' | 'The user at the Sentinels',
  prefix = 'leasehold:',
): string {
  const section = PAGE.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const [, rights] = /^user leasehold on >change-me ((?:.*\\\n)*.*)$/m.exec(section) ?? [];
  if (rights === undefined) throw new Error(`no user under "${heading}"`);
  return rights
    .replaceAll(/\\\n\s*/g, '')
    .replaceAll('leasehold:{0}:', `${prefix}{0}:`)
    .trim();
}

/** The line of a configuration file. */
export function leastUserLine(rights: string): string {
  return `user ${LEAST_USER.username} on >${LEAST_USER.password} ${rights}`;
}

/** What the page adds for this, to the user at Redis and to the one at the Sentinels. */
export function moreRights(heading: 'For monitoring' | 'For the doctor'): {
  readonly atRedis: string;
  readonly atSentinels: string;
} {
  const section = PAGE.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const [atRedis, atSentinels] = [...section.matchAll(/^```text\n(.*)\n```$/gm)].map(
    ([, rights = '']) => rights,
  );
  if (!atRedis || !atSentinels) throw new Error(`no rights under "${heading}"`);
  return { atRedis, atSentinels };
}
