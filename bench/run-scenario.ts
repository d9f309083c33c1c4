// Runs one scenario, or another work with a rig, and ends all its processes, even if it fails or is interrupted.
import type { Figure } from './figures.ts';
import { Rig } from './rig.ts';
import type { Scenario, Scope } from './scenario.ts';

export async function runScenario(scenario: Scenario, scope: Scope): Promise<readonly Figure[]> {
  const found = await withRig((rig) => scenario.run(rig, scope));
  return found.map((figure) => ({ scenario: scenario.name, ...figure }));
}

export async function withRig<Result>(work: (rig: Rig) => Promise<Result>): Promise<Result> {
  const rig = new Rig();
  const { promise: interrupted, reject } = Promise.withResolvers<never>();
  const interrupt = (): void => reject(new Error('interrupted'));
  process.once('SIGINT', interrupt);
  try {
    return await Promise.race([work(rig), interrupted]);
  } finally {
    process.removeListener('SIGINT', interrupt);
    await rig.close();
  }
}
