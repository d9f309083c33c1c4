// A command judges a recorded run again, for a user who has only its folder. test/unit/chaos.verdict.test.ts checks
// what the verdict says.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Event } from '../chaos/history.ts';
import { written } from '../support/chaos-events.ts';

const CHECKER = join(import.meta.dirname, '../chaos/checker/judge-run.ts');

const lines = (...events: Event[]): string => events.map((event) => `${JSON.stringify(event)}\n`).join('');

test('the command that judges a recorded run fails where a promise was broken', () => {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-history-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const judge = () => spawnSync(process.execPath, [CHECKER, folder], { encoding: 'utf8' });
  writeFileSync(join(folder, 'a.jsonl'), lines(written(1, 5), written(2, 6)));
  const passed = judge();
  expect(passed.stdout).toContain('violations 0');
  expect(passed.status).toBe(0);
  writeFileSync(join(folder, 'b.jsonl'), lines(written(3, 4)));
  const failed = judge();
  expect(failed.stdout).toContain('token 4 after one with 6');
  expect(failed.status).toBe(1);
});
