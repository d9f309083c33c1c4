// Each edit of a mutant finds its place in the present source. test/integration/chaos.mutant-processes.test.ts checks
// that each mutant starts; test:rules and the chaos suite, that each is caught.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CHECK_NAMES } from '../chaos/checker/check-history.ts';
import { faultNamed } from '../chaos/rig/faults/catalogue.ts';
import { applied, type Mutant, mutated, ROOT, sourceOf } from '../chaos/teeth/mutant.ts';
import { CHAOS_MUTANTS, MUTANTS, mutantNamed } from '../chaos/teeth/mutants.ts';
import { RULES } from '../chaos/teeth/rules.ts';
import { checksOf, SCENARIOS } from '../chaos/teeth/teeth-scenarios.ts';

const source = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

describe('each mutant', () => {
  test.each(MUTANTS)('the edits of the mutant $name are found, and change something', (mutant: Mutant) => {
    expect(mutant.edits.length).toBeGreaterThan(0);
    for (const file of new Set(mutant.edits.map((edit) => edit.file))) {
      expect(mutated(mutant, file, source(file))).not.toBe(source(file));
    }
  });

  test('each mutant has a name of its own and says what goes wrong', () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
    for (const { name, letsThrough } of MUTANTS) {
      expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(letsThrough).toMatch(/^[A-Z].{40,}\.$/s);
    }
  });

  test('each mutant of the chaos suite has a scenario, whose steps are in order', () => {
    expect(Object.keys(SCENARIOS).toSorted()).toEqual(CHAOS_MUTANTS.toSorted());
    for (const { steps, shows, seconds, runs } of Object.values(SCENARIOS)) {
      const times = steps.map(({ atMs }) => atMs);
      expect(times.length).toBeGreaterThan(0);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(times.at(-1)).toBeLessThan(seconds * 1_000);
      expect(shows).toMatch(/\.$/);
      expect(runs).toBeGreaterThan(0);
    }
  });

  test('each mutant of the chaos suite is judged by checks and struck by faults that exist', () => {
    for (const scenario of Object.values(SCENARIOS)) {
      expect(CHECK_NAMES).toEqual(expect.arrayContaining([...checksOf(scenario)]));
      for (const { fault } of scenario.steps) expect(faultNamed(fault).name).toBe(fault);
    }
  });

  test('each mutant has a rule whose test fails with it', () => {
    expect(RULES.map(({ without }) => without).toSorted()).toEqual(
      MUTANTS.map(({ name }) => name).toSorted(),
    );
  });

  test('each mutant that the chaos suite has to catch exists', () => {
    for (const name of CHAOS_MUTANTS) expect(mutantNamed(name).name).toBe(name);
    expect(() => mutantNamed('nothing')).toThrow('no mutant is called nothing');
  });
});

describe('an edit', () => {
  const edit = { file: 'a', find: 'x', replace: 'y' };

  test('an edit is made where its text is found once', () => expect(applied('axb', edit)).toBe('ayb'));

  test('an edit is refused where its text is not found, or found twice', () => {
    expect(() => applied('ab', edit)).toThrow('found 0 times');
    expect(() => applied('xx', edit)).toThrow('found 2 times');
  });

  test('an edit is made only in the sources of the product', () => {
    expect(sourceOf(join(ROOT, 'src/main.ts'))).toBe('src/main.ts');
    for (const other of ['test/tidy.test.ts', 'node_modules/src/x.ts', 'src/store/redis/lua/prelude.lua']) {
      expect(sourceOf(join(ROOT, other))).toBeUndefined();
    }
  });
});
