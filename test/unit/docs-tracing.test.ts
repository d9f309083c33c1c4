// docs/tracing.md against the source: every attribute and every span that it names is one that the code makes, and
// there is none that it leaves out.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/tracing.md'), 'utf8');

const NAMES = /((?:rpc|db|leasehold)\.[A-Za-z_]+(?:\.[a-z_]+)*)/;

function all(text: string, before: string, after: string): Set<string> {
  const pattern = new RegExp(`${before}${NAMES.source}${after}`, 'g');
  return new Set([...text.matchAll(pattern)].map(([, name = '']) => name));
}

function sourceOf(folder: string): string {
  const files = readdirSync(join(ROOT, folder)).filter((name) => name.endsWith('.ts'));
  return files.map((name) => readFileSync(join(ROOT, folder, name), 'utf8')).join('\n');
}

test('docs/tracing.md names every attribute and every span of the client, and no other', () => {
  const made = all(sourceOf('src/tracing') + sourceOf('src/client'), "'", "'");
  const told = all(page, '`', '`');
  expect(made.size).toBeGreaterThan(15);
  expect([...told].toSorted()).toEqual([...made].toSorted());
});
