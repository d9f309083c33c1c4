// How the tests run: one list of folders, generous bounds for real Redis processes, files one after the other on
// small machines. Chaos, simulation and bench have their own scripts and are not part of `npm test`.
//
// With LEASEHOLD_TEST_WITHOUT they run against a product with one mechanism taken out: test:rules shows that way that
// each rule has a test which fails without it.
import { defineConfig, type Plugin } from 'vitest/config';
import { mutated, sourceOf, VARIABLE } from './test/chaos/teeth/mutant.ts';
import { mutantNamed } from './test/chaos/teeth/mutants.ts';

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
    // What is kept on disk is kept by the text before the edits.
    fsModuleCache: !without,
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 120_000,
    // A busy machine may starve a failover once, and the report says so; what fails twice has failed.
    retry: process.env.CI ? 1 : 0,
    maxWorkers: 2,
    fileParallelism: true,
    globalSetup: ['test/support/global-setup.ts'],
  },
});
