// A drill against servers that break a promise: it must say so. Their scripts for Redis have one mechanism taken out.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { applied, type Edit, ROOT } from '../chaos/teeth/mutant.ts';
import { DrillRig } from '../support/drill-rig.ts';

const DRILL_WITHIN_MS = 90_000;
const LUA = 'src/store/redis/lua';

/** A copy of the product with this edit. */
function without(edit: Edit): string {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-mutant-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ['src', 'generated', 'package.json'])
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const file = join(folder, edit.file);
  writeFileSync(file, applied(readFileSync(file, 'utf8'), edit));
  return join(folder, 'src/main.ts');
}

test.each<readonly [string, Edit, RegExp]>([
  [
    'grant a lock that is held',
    {
      file: `${LUA}/acquire-lock.lua`,
      find: ' and admits(lock, mode)\n  and not has_queue(lock) then',
      replace: ' and not has_queue(lock) then',
    },
    /VIOLATION: leasehold-drill\/\w+\/queue-\d: leasehold-drill \d was granted it while leasehold-drill \d held it/,
  ],
  [
    'give a fencing token twice',
    {
      file: `${LUA}/prelude.lua`,
      find: 'state.token = math.max(state.token + 1, state.now)',
      replace: 'state.token = state.now - state.now % 1000000',
    },
    /VIOLATION: leasehold-drill\/\w+\/queue-\d: the token (\d+) came after \1\n/,
  ],
])('Servers that %s fail a drill, which names the lock', { timeout: 240_000 }, async (_what, edit, told) => {
  const rig = await DrillRig.start({ maxTtlMs: 2_000, script: [without(edit), 'serve'] });
  try {
    const drill = rig.drill('--yes', '--max-lost', '100');
    expect(await drill.exit(DRILL_WITHIN_MS)).toBe(1);
    expect(drill.stderr).toMatch(told);
    expect(drill.stdout).toMatch(told);
    expect(drill.stdout).toMatch(/\nNOT passed: \d+ violations? of the promises\.\n$/);
  } finally {
    await rig.stop();
  }
});
