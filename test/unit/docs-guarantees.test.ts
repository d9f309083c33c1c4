// docs/guarantees.md names each safety rule once, with what goes wrong without it and the test that shows it, exactly
// as in the table that `npm run test:rules` goes through; and the tests that it names exist.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { mutantNamed } from '../chaos/teeth/mutants.ts';
import { RULES } from '../chaos/teeth/rules.ts';

const DOCS = join(import.meta.dirname, '../../docs');
/** The page without its line breaks. */
const PAGE = readFileSync(join(DOCS, 'guarantees.md'), 'utf8').replace(/\s+/g, ' ');
const BULLETS = PAGE.split(/ (?=- \*\*|#+ )/).filter((part) => part.startsWith('- **'));

test.each(RULES)(
  'the page gives the rule, the harm and the proof for the mutant $without',
  ({ rule, without, file, test: title }) => {
    const told = BULLETS.filter((bullet) => bullet.includes(`(\`${without}\`)`));
    const said = `**${rule}** Without it: ${mutantNamed(without).letsThrough} *Proof:* `;
    expect(told).toHaveLength(1);
    expect(told[0]).toContain(said);
    expect(told[0]).toContain(`](../${file}), "${title.split(' > ').at(-1)}"`);
  },
);

test('the page has no rule that is not in the table', () => {
  const names = [...PAGE.matchAll(/\(`([a-z-]+)`\)/g)].map((match) => match[1]);
  expect(names.toSorted()).toEqual(RULES.map(({ without }) => without).toSorted());
});

describe('each test that is named', () => {
  const named = [...PAGE.matchAll(/\]\(\.\.\/(test\/[^)]+)\), "([^"]+)"/g)].map(([, file, title]) => ({
    file: String(file),
    title: String(title),
  }));

  test.each(named)('the page quotes a title of $file: "$title"', ({ file, title }) => {
    const path = join(DOCS, '..', file);
    expect(existsSync(path)).toBe(true);
    // The tests that a conformance test runs are in the suite beside it.
    const suites = file.startsWith('test/conformance/')
      ? [path.replace('.test.ts', '.suite.ts'), path]
      : [path];
    const texts = suites.filter((one) => existsSync(one)).map((one) => readFileSync(one, 'utf8'));
    expect(texts.some((text) => text.includes(title))).toBe(true);
  });
});
