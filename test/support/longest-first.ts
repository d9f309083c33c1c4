// The order in which test files begin. Vitest begins with the files that took longest the last time, and on a machine
// that has not run them yet with the largest. A failover is a small file that takes a minute: it would begin last, and
// all others would be over. The list need not be complete.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes half a minute or more on any machine. */
const LONG = [
  'operation-recovery',
  'failover-crash',
  'demo',
  'sdk.adversity',
  'client.hold',
  'lock-service.watch',
  'cli.loss',
  'failover-isolated',
  'operation-service.waiting',
  'client.adversity',
  'durability.replicated',
  'drill.failover',
].map((name) => join(import.meta.dirname, '../integration', `${name}.test.ts`));

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const gone = LONG.filter((path) => !existsSync(path));
    if (gone.length > 0) throw new Error(`test/support/longest-first.ts names files that are gone: ${gone}`);
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONG.indexOf(moduleId);
      return place < 0 ? LONG.length : place;
    };
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => rank(a) - rank(b)); // stable: the others stay in their order
  }
}
