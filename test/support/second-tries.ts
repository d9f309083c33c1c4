// Says at the end of a run which tests passed at their second try only, and how their first one failed. A test that is
// here run after run is a defect, of the test or of the product.
import type { Reporter, TestModule } from 'vitest/node';

export class SecondTries implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines = modules.flatMap((module) =>
      [...module.children.allTests('passed')]
        .filter((test) => (test.diagnostic()?.retryCount ?? 0) > 0)
        .map((test) => {
          const [first] = test.result().errors ?? [];
          return `  ${module.relativeModuleId} > ${test.fullName}\n    ${first?.message ?? 'no error is known'}`;
        }),
    );
    if (lines.length > 0) console.log(`\nPassed at the second try:\n${lines.join('\n')}`);
  }
}
