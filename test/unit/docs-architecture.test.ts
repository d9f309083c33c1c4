// docs/architecture.md against the code: its numbers are those of the safety core, and each file and each test that it
// names exists. test/integration/docs-data-model.test.ts checks the keys and scripts of docs/data-model.md.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import * as safety from '../../src/domain/safety.ts';
import { table } from '../support/doc-table.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = (name: string): string => readFileSync(join(ROOT, 'docs', name), 'utf8');
const architecture = page('architecture.md');

test('the numbers of the safety core are the documented ones', () => {
  const rows = table(architecture, 'The numbers').map(([name, value]) => [
    name?.replace(/ \([A-Z]\)$/, ''),
    value,
  ]);
  expect(rows).toEqual([
    ['CONFIRMATION_WINDOW_MS', String(safety.CONFIRMATION_WINDOW_MS)],
    ['SENTINEL_POLL_MS', String(safety.SENTINEL_POLL_MS)],
    ['SKEW_ALLOWANCE_MS', String(safety.SKEW_ALLOWANCE_MS)],
    ['TICK_MS', String(safety.TICK_MS)],
    ['OFFER_WINDOW_MS', String(safety.OFFER_WINDOW_MS)],
    ['FORGOTTEN_AFTER_MS', String(safety.FORGOTTEN_AFTER_MS)],
    ['LAPSED_AFTER_ADOPTION_MS', String(safety.LAPSED_AFTER_ADOPTION_MS)],
    ['quarantineMs(30000)', String(safety.quarantineMs(30_000))],
    ['freshWithinMs(30000)', String(safety.freshWithinMs(30_000))],
    ['newcomerWaitMs(30000)', String(safety.newcomerWaitMs(30_000))],
    ['awayAtMostMs(30000)', String(safety.awayAtMostMs(30_000))],
    ['entryKeptMs(30000)', String(safety.entryKeptMs(30_000))],
    ['smallestAdvisableTtlMs(5000)', String(safety.smallestAdvisableTtlMs(5_000))],
  ]);
});

test.each(['architecture.md', 'data-model.md'])('%s links only to what exists', (name) => {
  const targets = [...page(name).matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1] ?? '');
  expect(targets.length).toBeGreaterThan(0);
  const docs = join(ROOT, 'docs');
  expect(targets.filter((target) => !existsSync(join(docs, target)))).toEqual([]);
});

test('every test that architecture.md names as proof exists in a file that is named before it', () => {
  const paragraphs = architecture.split(/\n\n/).map((text) => text.replaceAll(/\s+/g, ' '));
  const proofs = paragraphs.flatMap((text) => {
    const proof = text.slice(Math.max(text.indexOf('Proof:'), 0));
    if (!text.includes('Proof:')) return [];
    const files = [...proof.matchAll(/\]\((\.\.\/test\/[^)]+)\)/g)].map((match) => match[1] ?? '');
    const sources = files.map((file) => readFileSync(join(ROOT, 'docs', file), 'utf8')).join('\n');
    return [...proof.matchAll(/"([^"]+)"/g)].map((match) => ({ title: match[1] ?? '', sources }));
  });
  expect(proofs.length).toBeGreaterThan(15);
  expect(proofs.filter(({ title, sources }) => !sources.includes(`'${title}'`)).map((p) => p.title)).toEqual(
    [],
  );
});

test('the files that architecture.md walks through hold what it names', () => {
  const named = [...architecture.matchAll(/`([#\w]+)` in\s+\[[^\]]+\]\(([^)]+)\)/g)];
  expect(named.length).toBeGreaterThan(6);
  const missing = named.filter(([, word = '', file = '']) => {
    return !readFileSync(join(dirname(join(ROOT, 'docs/x')), file), 'utf8').includes(word);
  });
  expect(missing.map(([whole]) => whole)).toEqual([]);
});
