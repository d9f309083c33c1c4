// Two checkouts in turn: which folder is one, and what the rounds say about the difference.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { checkoutAt } from '../../bench/against/checkout.ts';
import { ratiosOf, ratioTableHead, ratioTableLine, verdict } from '../../bench/against/ratio-table.ts';

const folder = mkdtempSync(join(tmpdir(), 'leasehold-checkouts-'));
afterAll(() => rmSync(folder, { recursive: true }));

function checkout(name: string, about: object): string {
  const root = join(folder, name);
  mkdirSync(join(root, 'src'), { recursive: true });
  writeFileSync(join(root, 'src/main.ts'), '');
  writeFileSync(join(root, 'package.json'), JSON.stringify(about));
  return root;
}

function install(root: string, dependency: string): void {
  mkdirSync(join(root, 'node_modules', dependency), { recursive: true });
  writeFileSync(join(root, 'node_modules', dependency, 'package.json'), '{}');
}

const ABOUT = {
  name: 'leasehold',
  dependencies: { '@grpc/grpc-js': '^1.0.0', ioredis: '^6.0.0', pino: '^10.0.0' },
};

test('a checkout with its packages serves by its own main.ts', () => {
  const root = checkout('whole', ABOUT);
  for (const name of Object.keys(ABOUT.dependencies)) install(root, name);
  expect(checkoutAt(root)).toEqual({
    name: root,
    commit: 'unknown',
    server: [join(root, 'src/main.ts'), 'serve'],
  });
});

test('a folder that is no checkout is refused, and the sentence says what belongs there', () => {
  expect(() => checkoutAt(join(folder, 'nowhere'))).toThrow(/^--against .*nowhere: there is no such folder$/);
  expect(() => checkoutAt(folder)).toThrow(
    'it is no checkout of Leasehold: a package.json of "leasehold" and',
  );
  expect(() => checkoutAt(checkout('stranger', { name: 'stranger' }))).toThrow(
    'it is no checkout of Leasehold',
  );
});

test('a checkout without its packages is refused with the command that installs them', () => {
  const root = checkout('bare', ABOUT);
  install(root, 'ioredis');
  expect(() => checkoutAt(root)).toThrow(
    '@grpc/grpc-js is not installed there, nor are 1 more; run `npm ci` in that folder',
  );
  install(root, 'pino');
  expect(() => checkoutAt(root)).toThrow('@grpc/grpc-js is not installed there; run');
});

const cpu = (value: number) => [{ name: 'CPU', unit: 'us', value, better: 'less' as const }];

test('the ratio of two checkouts is the median of the ratios of the rounds', () => {
  const rounds = [
    { ours: cpu(90), floor: cpu(100) },
    { ours: cpu(240), floor: cpu(200) },
    { ours: cpu(99), floor: cpu(100) },
  ];
  const [figure] = ratiosOf('calls', rounds);
  expect(figure).toEqual({
    scenario: 'calls',
    name: 'CPU',
    unit: 'us',
    better: 'less',
    value: 99,
    floor: 100,
    ratio: 0.99,
    spread: { least: 0.9, most: 1.2 },
  });
  const lines = [ratioTableHead(3), figure ? ratioTableLine(figure) : ''];
  expect(lines.map((line) => line.trim().split(/ {2,}/))).toEqual([
    ['this', 'other', 'ratio', 'spread in 3 rounds'],
    ['CPU', 'us', '99.0', '100.0', '0.99', '0.90 … 1.20 no clear difference'],
  ]);
});

test('a difference is called one if every round has it', () => {
  expect(verdict({ least: 1.01, most: 1.2 }, 'less')).toBe('worse in each round');
  expect(verdict({ least: 1.01, most: 1.2 }, 'more')).toBe('better in each round');
  expect(verdict({ least: 0.8, most: 0.99 }, 'less')).toBe('better in each round');
  expect(verdict({ least: 0.8, most: 0.99 }, 'more')).toBe('worse in each round');
  expect(verdict({ least: 0.99, most: 1.2 }, 'less')).toBe('no clear difference');
  expect(verdict({ least: Number.NaN, most: Number.NaN }, 'less')).toBe('no clear difference');
});

test('what is 0 on both sides is printed without a ratio', () => {
  const none = { ours: cpu(0), floor: cpu(0) };
  const [figure] = ratiosOf('calls', [none, none]);
  expect(figure && ratioTableLine(figure).trim().split(/ {2,}/)).toEqual([
    'CPU',
    'us',
    '0.000',
    '0.000',
    'no clear difference',
  ]);
});
