// How the tests run: one list of folders, generous bounds for real Redis processes, files one after the other on
// small machines. Chaos, simulation and bench have their own scripts and are not part of `npm test`.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    fileParallelism: true,
    globalSetup: ['test/support/global-setup.ts'],
  },
});
