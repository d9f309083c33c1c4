// docs/configuration.md against the table of settings, in both directions, and its examples against the loader.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SETTING_LIST } from '../../src/config/settings.ts';
import { ConfigDirectory } from './config-directory.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8');
const NO_DEFAULT = '–';

let directory: ConfigDirectory;

beforeAll(() => {
  directory = new ConfigDirectory();
});

afterAll(() => {
  directory.remove();
});

function fencedBlocks(language: string): string[] {
  const pattern = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms');
  return [...page.matchAll(pattern)].map((match) => match[1] ?? '');
}

test('docs/configuration.md lists every setting as the table has it, in order, and no other', () => {
  const documented = page
    .split('\n')
    .filter((line) => /^\| `[a-z]+\./.test(line))
    .map((line) => line.slice(2, -2).split(' | '));
  const actual = SETTING_LIST.map(({ key, defaultText, expected, environmentName, description }) => [
    `\`${key}\``,
    defaultText === undefined ? NO_DEFAULT : `\`${defaultText}\``,
    expected,
    `\`${environmentName}\``,
    description,
  ]);
  expect(actual.length).toBeGreaterThan(40);
  expect(documented).toEqual(actual);
});

test('every key and variable that docs/configuration.md mentions exists', () => {
  const known = new Set(SETTING_LIST.flatMap(({ key, environmentName }) => [key, environmentName]));
  const kubernetesAndOwn = ['LEASEHOLD_CONFIG', 'LEASEHOLD_SERVICE_HOST', 'LEASEHOLD_PORT'];
  // The command line gives these to the commands that it runs.
  const given = ['LEASEHOLD_RESOURCE', 'LEASEHOLD_FENCING_TOKEN'];
  const keys = [...page.matchAll(/`((?:server|auth|admin|redis|locks|monitoring|log)\.[a-z_.]+)[`:]/g)].map(
    (match) => match[1],
  );
  const variables = [...page.matchAll(/\bLEASEHOLD_[A-Z0-9_]*[A-Z0-9]\b(?!_)/g)].map((match) => match[0]);
  const unknown = [...keys, ...variables].filter(
    (name) => !known.has(name ?? '') && ![...kubernetesAndOwn, ...given].includes(name ?? ''),
  );
  expect(keys.length).toBeGreaterThan(SETTING_LIST.length);
  expect(variables.length).toBeGreaterThan(SETTING_LIST.length);
  expect(unknown).toEqual([]);
});

test('the examples in docs/configuration.md are valid, except for files that only the reader has', () => {
  const blocks = fencedBlocks('yaml');
  expect(blocks.length).toBeGreaterThanOrEqual(4);
  // An unknown key makes each block an error, so that blocks with and without other problems read alike.
  const problems = blocks.flatMap((block) => directory.linesFor(`${block}made_up: 1\n`));
  const unexpected = problems.filter((line) => !/ made_up: |there is no such file$/.test(line));
  expect(unexpected).toEqual([]);
});

test('the problems that docs/configuration.md shows are the ones that the server prints', () => {
  const [shown] = fencedBlocks('text').filter((block) => block.includes('unknown key'));
  const yaml = 'redis:\n  address: "r:1"\n\n  adress: "r:2"\n\n\n\nlocks:\n  max_ttl: 30\n';
  const lines = directory.linesFor(yaml, { LEASEHOLD_REDIS_DB: 'one' });
  expect(lines.toSorted()).toEqual(
    shown?.trim().replaceAll('leasehold.yaml:', 'c.yaml:').split('\n').toSorted(),
  );
});

test.each(['docs/errors.md', 'proto/leasehold/v1/lock_service.proto'])(
  '%s gives the largest message that a server takes by default',
  (path) => {
    const text = readFileSync(join(import.meta.dirname, '../..', path), 'utf8').replaceAll(/\s+/g, ' ');
    const setting = SETTING_LIST.find(({ key }) => key === 'server.max_message_bytes');
    const [said] = /(?<=request message has at most |max_message_bytes` \()[\d,]+(?= bytes)/.exec(text) ?? [];
    expect(said?.replaceAll(',', '')).toBe(setting?.defaultText);
  },
);
