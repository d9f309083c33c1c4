// The ports of the tests: no two processes are given the same one.
import { expect, test, vi } from 'vitest';

/** The module as a process of its own has it. It begins to look where this process does, so the two would collide. */
async function another(): Promise<typeof import('../support/ports.ts')> {
  vi.resetModules();
  return import('../support/ports.ts');
}

test('processes that begin to look at the same place are given different ports, although nobody listens on them', async () => {
  const ports = [];
  for (let i = 0; i < 3; i++) ports.push(...(await (await another()).freePorts(120)));
  expect(new Set(ports).size).toBe(360);
});

test('calls at the same time are given different ports', async () => {
  const { freePort } = await another();
  const ports = await Promise.all(Array.from({ length: 250 }, () => freePort()));
  expect(new Set(ports).size).toBe(250);
});
