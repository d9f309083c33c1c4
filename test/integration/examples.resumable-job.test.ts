// The example of a resumable job as a reader runs it, against a real server: it is killed in the middle, started again,
// and started once more when it is done.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { eventually } from '../support/eventually.ts';
import { startRig } from '../support/store-kinds.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/resumable-job.ts');

test('the resumable job goes on where a killed one stopped, and does nothing twice', {
  timeout: 60_000,
}, async ({ onTestFinished }) => {
  const rig = await startRig('embedded');
  onTestFinished(() => rig.stop());
  const run = (): { child: ChildProcess; output: () => string; ended: Promise<unknown> } => {
    const args = [EXAMPLE, 'report', '5', formatHostPort(rig.instance.address)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    return { child, output: () => output, ended: once(child, 'close') };
  };
  const first = run();
  await eventually(() => first.output().includes('step 3'), { what: 'step 3', withinMs: 10_000 });
  first.child.kill('SIGKILL');
  await first.ended;
  const second = run();
  await second.ended;
  expect(first.output()).toMatch(/^recorded\nattempt 1, .* after step 0\nstep 1/);
  expect(second.output()).toMatch(/^known, 1 attempts so far\nattempt 2, .* after step [23]\nstep [34]/);
  expect(second.output()).toMatch(/step 5.*\ncompleted\n$/);
  const third = run();
  await third.ended;
  expect(third.output()).toBe('known, 2 attempts so far\ndone before\n');
});
