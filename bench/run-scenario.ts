// Runs one scenario and ends all its processes, even if it fails or is interrupted.
import type { Figure } from './figures.ts';
import { Rig } from './rig.ts';
import type { Scenario, Scope } from './scenario.ts';

export async function runScenario(scenario: Scenario, scope: Scope): Promise<readonly Figure[]> {
  const rig = new Rig();
  const { promise: interrupted, reject } = Promise.withResolvers<never>();
  const interrupt = (): void => reject(new Error('interrupted'));
  process.once('SIGINT', interrupt);
  try {
    const found = await Promise.race([scenario.run(rig, scope), interrupted]);
    return found.map((figure) => ({ scenario: scenario.name, ...figure }));
  } finally {
    process.removeListener('SIGINT', interrupt);
    await rig.close();
  }
}
