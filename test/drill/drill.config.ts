// `npm run test:drill`: drills that are interrupted, fail, or watch, one after the other against one deployment. They
// take minutes, so they are not part of `npm test`.
import { defineConfig } from 'vitest/config';
import base from '../../vitest.config.ts';

const { projects: _, ...shared } = base.test ?? {};

export default defineConfig({
  ...base,
  test: { ...shared, include: ['test/drill/*.slow.ts'], retry: 1, maxWorkers: 1 },
});
