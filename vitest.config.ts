// How the tests run: one pattern of files, generous bounds for real Redis processes, several files at a time, the
// longest ones first. Chaos, simulation and bench have their own scripts and are not part of `npm test`.
//
// With LEASEHOLD_TEST_WITHOUT they run against a product that lacks one mechanism. That is how test:rules shows that
// each rule has a test which fails without it.
//
// Integration tests run processes against the real clock, on machines that may stop for seconds: such a test that fails
// gets a second try, and the run ends with the list of those that needed it. All others never get one: what fails there
// once in a hundred runs is a defect.
import { defineConfig, type Plugin } from 'vitest/config';
import { mutated, sourceOf, VARIABLE } from './test/chaos/teeth/mutant.ts';
import { mutantNamed } from './test/chaos/teeth/mutants.ts';
import { LongestFirst } from './test/support/longest-first.ts';
import { SecondTries } from './test/support/second-tries.ts';

const without = process.env[VARIABLE];

function mutation(name: string): Plugin {
  const mutant = mutantNamed(name);
  return {
    name: 'mutation',
    enforce: 'pre',
    transform(code, id) {
      const path = sourceOf(id);
      return path ? mutated(mutant, path, code) : undefined;
    },
  };
}

export default defineConfig({
  plugins: without ? [mutation(without)] : [],
  test: {
    // The cache on disk goes by the text before the edits of a mutant.
    fsModuleCache: !without,
    projects: [
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          retry: without ? 0 : 1,
        },
      },
      {
        extends: true,
        test: {
          name: 'direct',
          include: ['test/**/*.test.ts'],
          exclude: ['test/integration/**'],
        },
      },
    ],
    reporters: ['default', new SecondTries()],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Most files wait, for a failover or the end of a lease: more of them at a time than there are cores.
    maxWorkers: 5,
    sequence: { sequencer: LongestFirst },
    globalSetup: ['test/support/global-setup.ts'],
  },
});
