// `npm run test:drill`: drills that are interrupted, fail, or watch, one after the other against one deployment. They
// take minutes, so they are not part of `npm test`.
import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

export default defineConfig({
  ...base,
  test: { ...base.test, include: ['test/drill/*.slow.ts'], maxWorkers: 1 },
});
